import { beforeEach, describe, expect, test } from "@jest/globals";
import { FakeEtcd, promptly } from "../../../test-support/fake-etcd.js";
import { Others } from "../../../test-support/log-stage.js";
import { create, nameOf, release } from "../../../test-support/told.js";
import { Fold } from "../../fold/fold.js";
import { knownLevel } from "../../model/command.js";
import { FatalError } from "../../model/fatal-error.js";
import { encodeBase } from "../snapshot-codec.js";
import { LogKeys } from "./keys.js";
import { list, type ListingOptions } from "./listing.js";

const keys = new LogKeys("metasrv");
const base = { level: 1, revision: 0n, revisionOffset: 0n, snapshot: "", chunks: 0, bytes: 0, hashLow: 0, hashHigh: 0 };

describe("a listing", () => {
  let etcd: FakeEtcd;
  let others: Others;
  let foreign: string[];

  beforeEach(() => {
    etcd = new FakeEtcd();
    others = new Others(etcd, keys);
    foreign = [];
  });

  const read = (options: Partial<ListingOptions> = {}) =>
    list({
      client: etcd,
      keys,
      knownLevel,
      fold: new Fold(),
      firstBase: () => base,
      foreign: (key) => foreign.push(key.toString()),
      firstPageMs: 1_000,
      pageMs: 3_000,
      ...options,
    });
  const foldOf = ({ fold }: { readonly fold: unknown }) => fold as Fold;

  test("of a store that was never written to begins a log, once, though two begin at a time", async () => {
    const [one, other] = await Promise.all([
      read({ firstBase: () => ({ ...base, revisionOffset: 7n }) }),
      read({ firstBase: () => ({ ...base, revisionOffset: 9n }) }),
    ]);
    expect(one.base).toEqual(other.base);
    expect(one.last).toEqual({ key: keys.base, revision: one.baseModRevision });
    expect(one.fold.nextToken).toBe(8n * 4096n);
  });

  test("that is only to read writes nothing", async () => {
    const toRead = { client: etcd, keys, knownLevel, fold: new Fold(), foreign: () => undefined };
    const listing = await list({ ...toRead, firstPageMs: 1_000, pageMs: 1_000 });
    expect(foldOf(listing).size).toBe(0);
    expect(etcd.keys).toEqual([]);
  });

  test("folds the entries of all members in the order in which they were written", async () => {
    const [a, b] = [await others.join(), await others.join()];
    const first = others.write(b, [create(1)]);
    others.write(a, [create(2)]);
    const last = others.write(b, [release(1, first * 4096n)]);
    const listing = await read();
    const offset = listing.base.revisionOffset;
    expect(offset).toBe(0n);
    expect(foldOf(listing).state(nameOf("a"))).toMatchObject({ holderToken: (first + 1n) * 4096n, waiters: 0 });
    expect(listing.members.map(({ id }) => id)).toEqual([a, b]);
    expect([...listing.writers].sort()).toEqual([a, b].sort());
    expect(listing.last.revision).toBeGreaterThan(last);
  });

  test("takes everything at one revision, whatever is written meanwhile", async () => {
    const member = await others.join();
    await read();
    for (let n = 0; n < 600; n++) {
      others.write(member, [create(n, `lock-${n}`)]);
    }
    etcd.behaviour = async (call, run, timeoutMs) => {
      const page = await promptly(call, run, timeoutMs);
      if (call.kind === "range") {
        others.write(member, [create(1_000, `late-${etcd.revision}`)]);
        etcd.remove(keys.entry(member, 600));
      }
      return page;
    };
    const { revision } = etcd;
    const listing = await read();
    expect(listing.header.revision).toBe(revision);
    expect(foldOf(listing).size).toBe(600);
  });

  test("asks for pages, which grow with what fits into them", async () => {
    const member = await others.join();
    for (let n = 0; n < 1_000; n++) {
      others.write(member, [create(n, `lock-${n}`)]);
    }
    await read();
    const limits = etcd.calls.flatMap((call) =>
      call.kind === "range" && call.range.key.toString().includes("/log/") ? [call.range.limit] : [],
    );
    expect(limits).toEqual([256, 10_000]);
  });

  test("takes a member key without a lease for nobody's, and reports it", async () => {
    const member = await others.join();
    etcd.write(keys.member("1"), etcd.get(keys.member(member))?.value);
    const listing = await read();
    expect(listing.members.map(({ id }) => id)).toEqual([member]);
    expect(foreign).toEqual([keys.member("1").toString()]);
  });

  test("reports what is no key, no entry and no member of ours, and ignores it", async () => {
    const member = await others.join();
    others.write(member, [create(1)]);
    const { lease } = await etcd.grantLease(10, 1_000);
    const bad = [keys.entry(member, 7), keys.member("abc"), "metasrv/@/log/x", "metasrv/@/members/xyz"].map(String);
    for (const key of bad) {
      etcd.write(key, "\x67garbage", lease);
    }
    const listing = await read();
    expect(foldOf(listing).size).toBe(1);
    expect(listing.members.map(({ id }) => id)).toEqual([member]);
    expect(foreign.sort()).toEqual(bad.sort());
  });

  test("ends with what cannot be read: a higher level, a snapshot that is not what its base says", async () => {
    etcd.write(keys.base, encodeBase({ ...base, level: knownLevel + 1 }));
    await expect(read()).rejects.toThrow(FatalError);
    etcd.write(keys.base, encodeBase({ ...base, hashLow: 7 }));
    await expect(read()).rejects.toThrow("is not what its base says");
    etcd.write(keys.base, encodeBase({ ...base, chunks: 1, snapshot: "s" }));
    await expect(read()).rejects.toThrow("has 0 chunks instead of 1");
    etcd.write(keys.chunk("s", 0), Buffer.of(0x1a, 0xff));
    await expect(read()).rejects.toThrow("a chunk of the snapshot cannot be read");
  });

  test("of bytes that are no base says what is wrong, and is not taken for etcd being away", async () => {
    etcd.write(keys.base, Buffer.of(0xff, 0xff, 0xff));
    await expect(read()).rejects.toThrow(FatalError);
  });
});
