import type { ServerHttp2Stream } from "node:http2";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from "@jest/globals";
import { type Etcd, type EtcdCluster, leakCheck, startEtcdCluster, until } from "@metasrv/testing";
import { systemClock } from "@metasrv/wire";
import { answer, Far } from "../../../../test-support/grpc-far.js";
import { createEtcdClient } from "./connected-etcd-client.js";
import type { EtcdClient } from "./etcd-client.js";

const key = Buffer.from("a");
const value = Buffer.alloc(0);
const all = { key, end: Buffer.from("b"), startRevision: 0n };
const nothing = { compare: [], success: [], failure: [] };

/** Every call of one message each way. */
const calls: readonly (readonly [string, (client: EtcdClient, timeoutMs: number) => Promise<unknown>])[] = [
  ["txn", (client, timeoutMs) => client.txn(nothing, timeoutMs)],
  ["range", (client, timeoutMs) => client.range({ key }, timeoutMs)],
  ["put", (client, timeoutMs) => client.put({ key, value, lease: 0n }, timeoutMs)],
  ["grantLease", (client, timeoutMs) => client.grantLease(60, timeoutMs)],
  ["keepLeaseAlive", (client, timeoutMs) => client.keepLeaseAlive(7n, timeoutMs)],
  ["databaseBytes", (client, timeoutMs) => client.databaseBytes(timeoutMs)],
];

let client: EtcdClient;

beforeEach(() => {
  // It begins with the first of its members, not with any of them.
  jest.spyOn(Math, "random").mockReturnValue(0);
});

afterEach(() => {
  client.close();
  jest.restoreAllMocks();
});

describe("a client of three members", () => {
  let cluster: EtcdCluster;
  let follower: Etcd;
  let leader: Etcd;

  beforeAll(async () => {
    cluster = await startEtcdCluster(3);
    await until(async () => (await cluster.leader()) !== undefined, { what: "a leader" });
  });

  beforeEach(async () => {
    const found = await cluster.leader();
    const other = cluster.members.find((member) => member !== found);
    if (found === undefined || other === undefined) {
      throw new Error("the cluster lost its leader, though nothing happened to it");
    }
    leader = found;
    follower = other;
    client = createEtcdClient({ hosts: [follower.endpoint, leader.endpoint], clock: systemClock });
  });

  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  test.each(calls)("makes the next %s of the next member when one is paused", async (_, call) => {
    await call(client, 5_000);
    await follower.kill("SIGSTOP");
    try {
      await expect(call(client, 100)).rejects.toThrow("4 DEADLINE_EXCEEDED");
      await call(client, 5_000);
    } finally {
      await follower.kill("SIGCONT");
    }
  });

  test("watches the next member when one is paused", async () => {
    await follower.kill("SIGSTOP");
    try {
      const silent = await new Promise<Error | undefined>((closed) => {
        client.watch(all, { response: () => undefined, closed }).cancel();
      });
      expect(silent?.message).toContain("14 UNAVAILABLE");
      await new Promise<void>((response) => {
        client.watch(all, {
          response: () => {
            response();
          },
          closed: () => undefined,
        });
      });
    } finally {
      await follower.kill("SIGCONT");
    }
  });

  test("says the same etcd and the same revision whatever is asked", async () => {
    const put = await client.put({ key, value, lease: 0n }, 5_000);
    expect((await client.txn(nothing, 5_000)).header).toEqual(put);
    expect((await client.range({ key }, 5_000)).header).toEqual(put);
    const watched = await new Promise((resolve) => {
      client.watch(all, {
        response: ({ header }) => {
          resolve(header);
        },
        closed: () => undefined,
      });
    });
    expect(watched).toMatchObject({ clusterId: put.clusterId });
  });
});

describe("a client that is closed", () => {
  test("fails what is under way on a member that is silent, and ends its watches", async () => {
    await using far = await Far.start();
    client = createEtcdClient({ hosts: [far.host], clock: systemClock });
    const txn = client.txn(nothing, 5_000);
    const closed = new Promise<Error | undefined>((resolve) => {
      client.watch(all, { response: () => undefined, closed: resolve });
    });
    await until(() => far.calls === 2, { what: "both calls to arrive" });
    client.close();
    await expect(txn).rejects.toThrow("14 UNAVAILABLE");
    expect((await closed)?.message).toContain("14 UNAVAILABLE");
  });

  test.each(calls)("fails every %s", async (_, call) => {
    client = createEtcdClient({ hosts: ["127.0.0.1:1"], clock: systemClock });
    client.close();
    await expect(call(client, 5_000)).rejects.toThrow("14 UNAVAILABLE: the connection was closed");
  });
});

describe("what cannot be read", () => {
  // A first field that is longer than the message.
  const torn = Buffer.of(0, 0, 0, 0, 2, 0x0a, 9);

  test("fails a transaction", async () => {
    await using far = await Far.start();
    client = createEtcdClient({ hosts: [far.host], clock: systemClock });
    far.answer = (stream) => {
      answer(stream, [torn]);
    };
    await expect(client.txn(nothing, 5_000)).rejects.toThrow("13 INTERNAL: what etcd sent cannot be read: ");
    client.close();
  });

  test("ends a watch, and what comes after it is not told", async () => {
    await using far = await Far.start();
    client = createEtcdClient({ hosts: [far.host], clock: systemClock });
    const created = Buffer.of(0, 0, 0, 0, 2, 0x18, 1);
    far.answer = (stream: ServerHttp2Stream) => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" });
      stream.write(Buffer.concat([created, torn, created]));
    };
    const responses: boolean[] = [];
    const error = await new Promise<Error | undefined>((closed) => {
      client.watch(all, { response: (response) => responses.push(response.created), closed });
    });
    expect(error?.message).toContain("13 INTERNAL: what etcd sent cannot be read: ");
    expect(responses).toEqual([true]);
    client.close();
  });
});

test("keeping a lease alive leaves the connection to its member as it is", async () => {
  await using far = await Far.start();
  client = createEtcdClient({ hosts: [far.host], clock: systemClock });
  far.answer = (stream) => {
    // A TTL of 60 s.
    answer(stream, [Buffer.of(0, 0, 0, 0, 2, 0x18, 60)]);
  };
  for (let round = 0; round < 3; round++) {
    expect(await client.keepLeaseAlive(7n, 5_000)).toBe(60);
  }
  expect(far.connections).toBe(1);
  client.close();
});

afterAll(leakCheck());
