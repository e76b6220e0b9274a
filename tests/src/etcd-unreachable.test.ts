import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import {
  type Etcd,
  leakCheck,
  type Metasrv,
  startEtcd,
  startMetasrv,
  startTcpProxy,
  type TcpProxy,
  until,
} from "@metasrv/testing";
import { Etcd3 } from "etcd3";
import { memberKeys, ticketsIn } from "./in-store.js";
import { PlainLocks, rpcFailure } from "./plain-locks.js";

let etcd: Etcd;
let store: Etcd3;
let proxy: TcpProxy;
let node: Metasrv;
let locks: PlainLocks;

beforeAll(async () => {
  etcd = await startEtcd();
  store = new Etcd3({ hosts: etcd.endpoint });
});

beforeEach(async () => {
  proxy = await startTcpProxy({ target: etcd.endpoint });
  node = await startMetasrv({ store: proxy.address, args: ["--member-ttl", "2s"] });
  locks = new PlainLocks(node.url);
});

afterEach(async () => {
  locks[Symbol.dispose]();
  expect(await node.stop()).toBe(0);
  await proxy[Symbol.asyncDispose]();
  await until(async () => (await memberKeys(store)).length === 0, { what: "the members to be gone" });
});

const faults = {
  refused: {
    begin: () => {
      proxy.refuse();
      proxy.cut();
    },
    end: () => proxy.accept(),
  },
  silent: {
    begin: () => {
      proxy.pause("toTarget");
      proxy.pause("toClient");
    },
    end: () => {
      proxy.resume("toTarget");
      proxy.resume("toClient");
    },
  },
} satisfies Record<string, { begin(): void; end(): unknown }>;

describe.each(["refused", "silent"] as const)("an etcd out of reach (%s) for longer than the member TTL", (kind) => {
  test("ends waits with UNAVAILABLE and grants nothing; then the node joins again and serves", async () => {
    const [member = ""] = await memberKeys(store);
    const held = await locks.lock("a", { ttlMs: 60_000 });
    const waiter = await locks.queueUp("a");
    const failure = rpcFailure(waiter.granted);

    faults[kind].begin();
    expect(await failure).toMatchObject({ code: "Unavailable", reason: "NOT_A_MEMBER" });
    expect(await rpcFailure(locks.lock("b"))).toMatchObject({ code: "Unavailable", reason: "NOT_A_MEMBER" });
    expect(await rpcFailure(locks.renew(held))).toMatchObject({ code: "Unavailable", reason: "NOT_A_MEMBER" });
    await until(async () => (await memberKeys(store)).length === 0, { what: "the lease to lapse" });

    await faults[kind].end();
    await until(async () => (await memberKeys(store)).some((key) => key !== member), {
      what: "the node to join again",
    });
    await until(async () => (await ticketsIn(etcd.endpoint, "metasrv", "a")).length === 1, {
      what: "the wait to be gone",
    });
    await locks.unlock(await locks.lock("b"));
    expect(await locks.state("a")).toMatchObject({ holderToken: held.token });
    await locks.renew(held);
    await locks.unlock(held);
    expect(await ticketsIn(etcd.endpoint)).toEqual([]);
  }, 60_000);
});

afterAll(async () => {
  store.close();
  await etcd[Symbol.asyncDispose]();
});
afterAll(leakCheck());
