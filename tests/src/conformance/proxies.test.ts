import { afterAll, beforeAll } from "@jest/globals";
import { type Etcd, leakCheck, startEtcd } from "@metasrv/testing";
import { plainConfig, type ProxyName, ProxyProgram, shownConfig } from "../proxy-program.js";
import { describeLockConformance } from "./describe-lock-conformance.js";
import { clientIsWithout, clientTtlStepMs } from "./drivers/client-locks.js";
import { openMetaClient } from "./drivers/meta-client-driver.js";

let etcd: Etcd;

beforeAll(async () => {
  etcd = await startEtcd();
});

const cases: [string, ProxyName, string, string][] = [
  ["nginx by default, to which it speaks HTTP/2", "nginx", plainConfig("nginx", "http2"), "nginx"],
  ["HAProxy as the guide shows it", "haproxy", await shownConfig("haproxy"), "haproxy"],
];

for (const [title, name, config, prefix] of cases) {
  describeLockConformance(`client through ${title}, on etcd`, {
    open: () =>
      openMetaClient({}, { endpoint: etcd.endpoint, prefix }, async (url) => {
        const proxy = await ProxyProgram.start(name, config, new URL(url).host);
        return { url: `http://${proxy.address}`, proxy };
      }),
    ttlStepMs: clientTtlStepMs,
    without: clientIsWithout,
  });
}

afterAll(async () => {
  await etcd[Symbol.asyncDispose]();
});
afterAll(leakCheck());
