import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { type Etcd, leakCheck, startEtcd, until } from "@metasrv/testing";
import { systemClock } from "@metasrv/wire";
import { Etcd3 } from "etcd3";
import { createEtcdClient } from "./connected-etcd-client.js";
import type { EtcdClient, EtcdCompare, EtcdOp, EtcdWatchResponse } from "./etcd-client.js";

const timeoutMs = 5_000;

let etcd: Etcd;
let client: EtcdClient;
let prefix: string;
let tests = 0;

beforeAll(async () => {
  etcd = await startEtcd();
});

beforeEach(() => {
  client = createEtcdClient({ hosts: [etcd.endpoint], clock: systemClock });
  prefix = `${tests++}/`;
});

afterEach(() => {
  client.close();
});

afterAll(async () => {
  await etcd[Symbol.asyncDispose]();
});
afterAll(leakCheck());

const key = (name: string) => Buffer.from(prefix + name);
const put = (name: string, value = ""): EtcdOp => ({ kind: "put", key: key(name), value: Buffer.from(value) });
const commit = (...success: EtcdOp[]) => client.txn({ compare: [], success, failure: [] }, timeoutMs);
const everything = (): { key: Buffer; end: Buffer } => ({
  key: Buffer.from(prefix),
  end: Buffer.from(`${prefix}\xff`, "latin1"),
});

describe("a transaction", () => {
  test("does and reads what is meant for success when all comparisons hold", async () => {
    const { header } = await commit(put("a", "1"), put("c"));
    const { revision } = header;
    const answer = await client.txn(
      {
        compare: [
          { key: key("a"), target: "create", result: "equal", revision },
          { key: key("a"), target: "mod", result: "less", revision: revision + 1n },
          { key: key("c"), target: "mod", result: "greater", revision: revision - 1n },
          { key: key("b"), target: "create", result: "equal", revision: 0n },
        ],
        success: [
          { kind: "range", key: key("a") },
          put("b", "2"),
          { kind: "delete", key: key("a") },
          { kind: "range", ...everything(), keysOnly: true },
        ],
        failure: [{ kind: "delete", ...everything() }],
      },
      timeoutMs,
    );
    const a = { key: key("a"), value: Buffer.from("1"), createRevision: revision, modRevision: revision, lease: 0n };
    const empty = Buffer.alloc(0);
    expect(answer).toEqual({
      header: { clusterId: header.clusterId, revision: revision + 1n },
      succeeded: true,
      read: [
        [a],
        [
          { ...a, key: key("b"), value: empty, createRevision: revision + 1n, modRevision: revision + 1n },
          { ...a, key: key("c"), value: empty },
        ],
      ],
    });
    expect(header.clusterId).toBeGreaterThan(0n);
  });

  test.each<[string, (revision: bigint) => Omit<EtcdCompare, "key">]>([
    ["created at another revision", () => ({ target: "create", result: "equal", revision: 0n })],
    ["changed at another revision", (revision) => ({ target: "mod", result: "equal", revision: revision + 1n })],
    ["changed too early", (revision) => ({ target: "mod", result: "greater", revision })],
    ["changed too late", (revision) => ({ target: "mod", result: "less", revision })],
  ])("does and reads what is meant for failure when a key was %s", async (_, condition) => {
    const { revision } = (await commit(put("a"), put("b"))).header;
    const answer = await client.txn(
      {
        compare: [{ key: key("a"), ...condition(revision) }],
        success: [{ kind: "delete", ...everything() }],
        failure: [
          { kind: "range", ...everything(), limit: 1 },
          { kind: "range", key: key("none") },
        ],
      },
      timeoutMs,
    );
    expect(answer).toMatchObject({ succeeded: false, header: { revision }, read: [[{ key: key("a") }], []] });
  });

  test("deletes up to, not including, the end of a range", async () => {
    await commit(put("a"), put("b"), put("c"));
    await commit({ kind: "delete", key: key("a"), end: key("c") });
    const { kvs } = await client.range(everything(), timeoutMs);
    expect(kvs).toMatchObject([{ key: key("c") }]);
  });

  test("that etcd does not take rejects with etcd's words", async () => {
    await expect(commit(put("a"), put("a"))).rejects.toThrow(
      "3 INVALID_ARGUMENT: etcdserver: duplicate key given in txn request",
    );
  });
});

describe("a watch", () => {
  /** Makes one, and gathers what it says. */
  const watch = (startRevision: bigint) => {
    const responses: EtcdWatchResponse[] = [];
    const ends: (Error | undefined)[] = [];
    const asked = client.watch(
      { ...everything(), startRevision },
      {
        response: (response) => responses.push(response),
        closed: (error) => ends.push(error),
      },
    );
    const changes = () =>
      responses.flatMap(({ events }) => events.map(({ kind, kv }) => `${kind} ${String(kv.key)}=${String(kv.value)}`));
    const says = (what: string, holds: () => boolean) => until(holds, { what });
    return { asked, responses, ends, changes, says };
  };

  test("says that it was made, then what has changed from its revision on, whole revisions in order", async () => {
    const { revision } = (await commit(put("a", "1"))).header;
    const { header } = await commit(put("a", "2"), put("b", "3"));
    await commit({ kind: "delete", ...everything() });
    const { responses, changes, says, asked, ends } = watch(revision + 1n);
    await says("the past", () => changes().length === 4);
    await client.txn({ compare: [], success: [put("c", "4")], failure: [] }, timeoutMs);
    await says("the present", () => changes().length === 5);

    expect(responses[0]).toMatchObject({ created: true, canceled: false, compactRevision: 0n, events: [] });
    expect(responses[0]?.header.clusterId).toBe(header.clusterId);
    expect(changes()).toEqual([
      `put ${prefix}a=2`,
      `put ${prefix}b=3`,
      `delete ${prefix}a=`,
      `delete ${prefix}b=`,
      `put ${prefix}c=4`,
    ]);
    const kvs = responses.flatMap(({ events }) => events.map(({ kv }) => kv));
    expect(kvs.map(({ modRevision }) => modRevision - revision)).toEqual([1n, 1n, 2n, 2n, 3n]);
    expect(kvs.map(({ createRevision }) => createRevision && createRevision - revision)).toEqual([0n, 1n, 0n, 0n, 3n]);
    asked.cancel();
    await says("its end", () => ends.length > 0);
  });

  test("brings the deletion of very many keys at once", async () => {
    const names = Array.from({ length: 20_000 }, (_, index) => `${index}`);
    for (let from = 0; from < names.length; from += 100) {
      await commit(...names.slice(from, from + 100).map((name) => put(name)));
    }
    const { revision } = (await commit({ kind: "delete", ...everything() })).header;
    const { responses, changes, says } = watch(revision);
    await says("all", () => changes().length === names.length);
    expect(responses.filter(({ events }) => events.length > 0)).toHaveLength(1);
  });

  test("says how far it is when it is asked", async () => {
    const { responses, asked, says } = watch(0n);
    await says("that it was made", () => responses.length === 1);
    const { revision } = await client.put({ key: Buffer.from("elsewhere"), value: key(""), lease: 0n }, timeoutMs);
    await until(
      () => {
        asked.progress();
        return responses.at(-1)?.header.revision === revision;
      },
      { what: "its progress" },
    );
    expect(responses.at(-1)).toMatchObject({ created: false, canceled: false, events: [] });
  });

  test("of a revision that was compacted away is cancelled, and says which one is there", async () => {
    const { revision } = (await commit(put("a", "1"))).header;
    await commit(put("a", "2"));
    const etcd3 = new Etcd3({ hosts: etcd.endpoint });
    await etcd3.kv.compact({ revision: String(revision + 1n), physical: true });
    etcd3.close();
    const { responses, says } = watch(revision);
    await says("that it is cancelled", () => responses.at(-1)?.canceled === true);
    expect(responses).toMatchObject([
      { created: true },
      { canceled: true, compactRevision: revision + 1n, events: [] },
    ]);
  });

  test("says nothing but its end once it is cancelled here", async () => {
    const { responses, asked, ends, says } = watch(0n);
    await says("that it was made", () => responses.length === 1);
    const committed = commit(put("a"));
    asked.cancel();
    asked.cancel();
    await says("its end", () => ends.length > 0);
    await committed;
    expect(ends).toEqual([expect.objectContaining({ message: expect.stringContaining("14 UNAVAILABLE") })]);
    expect(responses).toHaveLength(1);
  });

  test("tells of its end when etcd is gone", async () => {
    await using gone = await startEtcd();
    client.close();
    client = createEtcdClient({ hosts: [gone.endpoint], clock: systemClock });
    const { responses, ends, says } = watch(0n);
    await says("that it was made", () => responses.length === 1);
    await gone.kill();
    await says("its end", () => ends.length > 0);
    expect(ends).toHaveLength(1);
  });
});

describe("reads", () => {
  test("go on page by page at one revision", async () => {
    const { header } = await commit(put("a", "1"), put("b"), put("c"), put("d"));
    const { revision } = header;
    const first = await client.range({ ...everything(), limit: 3 }, timeoutMs);
    await commit(put("d", "2"), put("e"), { kind: "delete", key: key("c") });
    expect(first).toMatchObject({ header, more: true });
    const last = first.kvs.at(-1)?.key ?? Buffer.alloc(0);
    expect(last).toEqual(key("c"));
    const start = Buffer.concat([last, Buffer.of(0)]);
    const second = await client.range({ ...everything(), key: start, limit: 3, revision }, timeoutMs);
    expect(second).toEqual({
      header: { ...header, revision: revision + 1n },
      more: false,
      kvs: [{ key: key("d"), value: Buffer.alloc(0), createRevision: revision, modRevision: revision, lease: 0n }],
    });
  });

  test("are of one key without an end, and without values if only keys are asked for", async () => {
    await commit(put("a", "1"), put("b", "2"));
    expect((await client.range({ key: key("a") }, timeoutMs)).kvs).toMatchObject([{ value: Buffer.from("1") }]);
    const { kvs } = await client.range({ ...everything(), keysOnly: true }, timeoutMs);
    expect(kvs.map(({ value }) => value.length)).toEqual([0, 0]);
  });

  test("tell the size of the database", async () => {
    const before = await client.databaseBytes(timeoutMs);
    expect(before).toBeGreaterThan(0);
    for (let round = 0; round < 4; round++) {
      await commit(put("a", "x".repeat(1_000_000)));
    }
    await until(async () => (await client.databaseBytes(timeoutMs)) > before, { what: "the database to grow" });
  });
});

describe("a lease", () => {
  test("has keys that go with it, as long as it is kept alive", async () => {
    const { lease, ttlSeconds } = await client.grantLease(60, timeoutMs);
    expect(ttlSeconds).toBe(60);
    const header = await client.put({ key: key("a"), value: Buffer.from("1"), lease }, timeoutMs);
    const { kvs } = await client.range({ key: key("a") }, timeoutMs);
    expect(kvs).toMatchObject([{ lease, modRevision: header.revision }]);
    expect((await commit({ kind: "range", key: key("a") })).read).toMatchObject([[{ lease }]]);

    expect(await client.keepLeaseAlive(lease, timeoutMs)).toBe(60);
    await client.revokeLease(lease, timeoutMs);
    expect(await client.keepLeaseAlive(lease, timeoutMs)).toBe(0);
    expect((await client.range({ key: key("a") }, timeoutMs)).kvs).toEqual([]);
  });

  test("that is gone is refused in etcd's words alone", async () => {
    const message = "5 NOT_FOUND: etcdserver: requested lease not found";
    const gone = 2n ** 63n - 1n;
    await expect(client.put({ key: key("a"), value: Buffer.of(), lease: gone }, timeoutMs)).rejects.toMatchObject({
      message,
    });
    await expect(client.revokeLease(gone, timeoutMs)).rejects.toMatchObject({ message });
  });
});
