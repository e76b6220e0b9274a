import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { ManualClock } from "@metasrv/wire/testing";
import { FakeEtcd, noAnswer, promptly } from "../../../test-support/fake-etcd.js";
import { goOn, type Logged, Others, recordingLogger } from "../../../test-support/log-stage.js";
import { create } from "../../../test-support/told.js";
import { Fold } from "../../fold/fold.js";
import { knownLevel } from "../../model/command.js";
import { encodeBase } from "../snapshot-codec.js";
import { Feed } from "./feed.js";
import { LogKeys } from "./keys.js";

const keys = new LogKeys("metasrv");
const base = {
  level: 1,
  revision: 0n,
  revisionOffset: 1_000n,
  snapshot: "",
  chunks: 0,
  bytes: 0,
  hashLow: 0,
  hashHigh: 0,
};

describe("a feed", () => {
  let etcd: FakeEtcd;
  let clock: ManualClock;
  let others: Others;
  let writer: string;
  let fold: Fold;
  let feed: Feed;
  let lines: Logged[];
  /** `listed 7`, `changed 8`, `own 9`, ..., in the order in which they came. */
  let delivered: string[];
  let fatal: Error[];

  beforeEach(async () => {
    etcd = new FakeEtcd();
    clock = new ManualClock();
    others = new Others(etcd, keys);
    writer = await others.join();
    others.write(writer, [create(1)]);
    fold = new Fold();
    delivered = [];
    fatal = [];
    const recording = recordingLogger();
    lines = recording.lines;
    feed = new Feed(
      {
        client: etcd,
        keys,
        clock,
        random: () => 0.5,
        logger: recording.logger,
        hosts: ["etcd"],
        knownLevel,
        fold,
        firstBase: () => base,
        foreign: () => undefined,
        members: () => [writer],
        fatal: (error) => fatal.push(error),
        connectTimeoutMs: 1_000,
        checkMs: 1_000,
        requestTimeoutMs: 3_000,
      },
      {
        listed: (listing, replaced) => {
          fold.become(listing.fold);
          delivered.push(`listed ${listing.header.revision}${replaced ? " of another store" : ""}`);
        },
        changed: (events) => {
          delivered.push(...events.map(({ kv }) => `changed ${kv.modRevision}`));
        },
      },
    );
    await feed.open();
    await goOn();
    delivered.length = 0;
  });

  afterEach(async () => {
    etcd.behaviour = promptly;
    const closed = feed.close();
    await clock.advance(5_000);
    await closed;
  });

  /** An own write at the store's next revision. */
  function writeOwn(): { readonly key: Buffer; readonly revision: bigint } {
    const key = keys.entry("0b", 1);
    return { key, revision: etcd.write(key) };
  }

  function tell({ key, revision }: ReturnType<typeof writeOwn>): void {
    feed.committed(key, revision, () => delivered.push(`own ${revision}`));
  }

  const warnings = () => lines.filter(({ level }) => level === "warn" || level === "error").map(({ msg }) => msg);
  const listings = () => delivered.filter((one) => one.startsWith("listed")).length;

  test("brings a listing first, writes where a log begins that never was, and watches from the last change on", () => {
    expect(etcd.get(keys.base)?.value).toEqual(encodeBase(base));
    expect(feed.revision).toBe(etcd.revision);
    expect(etcd.watched).toEqual([{ ...keys.watched, startRevision: etcd.get(keys.base)?.modRevision }]);
  });

  test("brings every change of ours in order, once, and nothing of others", () => {
    const revisions = [others.write(writer, []), others.write(writer, [])];
    etcd.pass(3);
    revisions.push(etcd.write(keys.member("0c")));
    expect(delivered).toEqual(revisions.map((revision) => `changed ${revision}`));
  });

  describe("told of a write of its own process", () => {
    test("delivers it at once where it comes next, and not once more by the watch", () => {
      etcd.holdWatches();
      const own = writeOwn();
      tell(own);
      expect(delivered).toEqual([`own ${own.revision}`]);
      etcd.releaseWatches();
      expect(delivered).toEqual([`own ${own.revision}`]);
    });

    test("leaves it to the watch where something else came before it", () => {
      etcd.holdWatches();
      const before = others.write(writer, []);
      const own = writeOwn();
      tell(own);
      expect(delivered).toEqual([]);
      etcd.releaseWatches();
      expect(delivered).toEqual([`changed ${before}`, `changed ${own.revision}`]);
    });

    test("does nothing when the watch was faster", () => {
      const own = writeOwn();
      tell(own);
      expect(delivered).toEqual([`changed ${own.revision}`]);
    });

    test("leaves it to the watch while none is open", async () => {
      etcd.breakWatches();
      await goOn();
      const own = writeOwn();
      tell(own);
      expect(delivered).toEqual([]);
      await clock.advance(1_000);
      expect(delivered).toEqual([`changed ${own.revision}`]);
    });

    test("counts on from one that is not watched", () => {
      etcd.pass(1);
      feed.skipped(etcd.revision);
      etcd.holdWatches();
      const own = writeOwn();
      tell(own);
      expect(delivered).toEqual([`own ${own.revision}`]);
    });
  });

  test("goes on after a watch that broke off, from the last change, without a listing", async () => {
    const last = others.write(writer, []);
    etcd.breakWatches();
    const missed = others.write(writer, []);
    await clock.advance(1_000);
    expect(etcd.watched.at(-1)?.startRevision).toBe(last);
    expect(delivered).toEqual([`changed ${last}`, `changed ${missed}`]);
  });

  test("lists again when what it missed was compacted away, and goes on from there", async () => {
    etcd.breakWatches();
    others.write(writer, [create(2)]);
    etcd.pass(5);
    etcd.compact();
    await clock.advance(2_000);
    expect(delivered).toEqual([`listed ${etcd.revision}`]);
    const next = others.write(writer, []);
    expect(delivered.at(-1)).toBe(`changed ${next}`);
  });

  test("lists once, and watches, where even the last change of ours was compacted away long ago", async () => {
    etcd.pass(100);
    etcd.compact();
    etcd.breakWatches();
    await clock.advance(20_000);
    expect(delivered).toEqual([`listed ${etcd.revision}`]);
    expect(etcd.watches.size).toBe(1);
    const next = others.write(writer, []);
    expect(delivered.at(-1)).toBe(`changed ${next}`);
    etcd.breakWatches();
    await clock.advance(2_000);
    expect(listings()).toBe(1);
    expect(warnings()).toEqual([]);
  });

  test("lists anew, not blindly on, when the last change was compacted away and the watch breaks off again", async () => {
    etcd.pass(100);
    etcd.compact();
    for (let time = 0; time < 2; time++) {
      etcd.breakWatches();
      await clock.advance(2_000);
    }
    expect(listings()).toBe(2);
    expect(etcd.watches.size).toBe(1);
  });

  test("does not take an etcd member that is behind the others for another store", async () => {
    // The member that is watched from now on has nothing of what others have committed, and answered, meanwhile.
    etcd.holdWatches();
    const own = writeOwn();
    tell(own);
    etcd.breakWatches();
    await clock.advance(200);
    expect(etcd.watched.at(-1)?.startRevision).toBe(own.revision);
    expect(warnings()).toEqual([]);
    const next = others.write(writer, []);
    etcd.releaseWatches();
    await goOn();
    expect(delivered).toEqual([`own ${own.revision}`, `changed ${next}`]);
    expect(warnings()).toEqual([]);
  });

  describe("of a store that took the place of another", () => {
    test("says so once, and lists it as another", async () => {
      const backup = etcd.backup();
      others.write(writer, []);
      etcd.restore(backup);
      await clock.advance(5_000);
      expect(warnings().filter((msg) => msg.includes("restored, replaced or wiped"))).toHaveLength(1);
      expect(delivered.at(-1)).toBe(`listed ${etcd.revision} of another store`);
    });

    test("says so, too, where that is further already and has new entries when it is listed", async () => {
      const backup = etcd.backup();
      others.write(writer, []);
      // The watch shows nothing of it until it is given up.
      etcd.silence();
      etcd.restore(backup);
      etcd.pass(10);
      others.write(writer, [create(9)]);
      await clock.advance(3_000);
      expect(warnings().filter((msg) => msg.includes("restored, replaced or wiped"))).toHaveLength(1);
      expect(delivered).toContain(`listed ${etcd.revision} of another store`);
    });

    test("takes no answer for its own that comes before the listing", async () => {
      const backup = etcd.backup();
      others.write(writer, []);
      etcd.restore(backup);
      feed.heard(etcd.header, feed.revision);
      const own = { key: keys.entry("0b", 1), revision: feed.revision + 1n };
      tell(own);
      expect(delivered).toEqual([`changed ${own.revision - 1n}`]);
      await clock.advance(5_000);
      expect(listings()).toBe(1);
    });
  });

  test("does not take a watch that was slow to begin for one of another store", async () => {
    const last = others.write(writer, []);
    etcd.breakWatches();
    etcd.silence();
    await clock.advance(1_500);
    etcd.speak();
    await clock.advance(3_000);
    expect(warnings().filter((msg) => msg.includes("restored, replaced or wiped"))).toEqual([]);
    expect(delivered.slice(0, 2)).toEqual([`changed ${last}`, `listed ${etcd.revision}`]);
    expect(etcd.watches.size).toBe(1);
  });

  test("tells of an answer that was asked for before the last listing, and is behind it, nothing", () => {
    feed.heard({ clusterId: 1n, revision: 3n }, feed.revision + 10n);
    expect(warnings()).toEqual([]);
  });

  test("ends the process when what it delivers cannot be folded, and delivers nothing more", async () => {
    feed.committed(keys.base, feed.revision + 1n, () => {
      throw new TypeError("a fault");
    });
    expect(fatal).toEqual([new TypeError("a fault")]);
    others.write(writer, []);
    await goOn();
    expect(delivered).toEqual([]);
  });

  describe("of a store that is slow to list", () => {
    test("gives the first page twice as long as the last, up to a bound, and begins anew after a success", async () => {
      const given: number[] = [];
      etcd.behaviour = async (call, run, timeoutMs) => {
        if (call.kind === "range" && call.range.key.equals(keys.base)) {
          given.push(timeoutMs);
          if (given.length < 5) {
            throw noAnswer();
          }
        }
        return promptly(call, run, timeoutMs);
      };
      etcd.breakWatches();
      others.write(writer, []);
      etcd.pass(1);
      etcd.compact();
      await clock.advance(10_000);
      expect(given).toEqual([1_000, 2_000, 3_000, 3_000, 3_000]);
    });
  });

  describe("when asked how far it may be behind", () => {
    test("says nothing while the store shows that it is not", async () => {
      await clock.advance(60_000);
      expect(feed.lag()).toBeUndefined();
    });

    test("says so when nothing was compared for five times as long as usual", async () => {
      etcd.behaviour = (call, run, timeoutMs) =>
        call.kind === "txn" ? Promise.reject(noAnswer()) : promptly(call, run, timeoutMs);
      await clock.advance(4_900);
      expect(feed.lag()).toBeUndefined();
      await clock.advance(300);
      expect(feed.lag()).toMatch(/^it may have missed what was committed in the last \d+ s/);
    });

    test("says so when the watch does not bring what is there, and opens another", async () => {
      etcd.holdWatches();
      others.write(writer, []);
      await clock.advance(8_000);
      expect(feed.lag()).toBeDefined();
      expect(etcd.watched.length).toBeGreaterThan(1);
      etcd.releaseWatches();
      await clock.advance(6_000);
      expect(feed.lag()).toBeUndefined();
      expect(listings()).toBe(0);
    });
  });
});
