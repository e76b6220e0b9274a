import type { AddressInfo } from "node:net";

/** Tells the process that started this one where it listens, in a line of its own. */
export function announce(address: AddressInfo | string | null): void {
  if (address === null || typeof address === "string") {
    throw new Error("this server has no port");
  }
  process.stdout.write(`listening ${address.address}:${address.port}\n`);
}
