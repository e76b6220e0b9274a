import type { Network } from "./network.js";
import { ProxyLinks } from "./proxy-links.js";

/** Everything on the loopback, every link through a proxy: needs no rights. */
export const proxyNetwork: Network = {
  kind: "proxies",
  host: () => undefined,
  link: (ends) => ProxyLinks.create(ends, "127.0.0.1"),
};
