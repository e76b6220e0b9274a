import { describe, expect, test } from "@jest/globals";
import { ManualClock, settled } from "@metasrv/wire/testing";
import { inspected } from "../../test-support/inspected.js";
import { create, idOf, nameOf, release } from "../../test-support/told.js";
import { Fold } from "../fold/fold.js";
import type { Command } from "../model/command.js";
import { type LockChanges, TableWatch } from "./table-watch.js";

/** A table that the test changes, and what watches of it tell. */
class Stage {
  readonly clock = new ManualClock();
  readonly fold = new Fold();
  readonly #watch: TableWatch;
  readonly end = new AbortController();
  #revision = 0;

  constructor() {
    const { fold, clock } = this;
    fold.nowMs = () => clock.now();
    this.#watch = new TableWatch({ fold, clock, inspection: inspected(fold, clock) });
  }

  apply(...commands: readonly Command[]): void {
    const revision = ++this.#revision;
    const entry = { level: 2, settled: revision - 1, seen: undefined, commands };
    this.fold.apply({ memberId: "m1", sequence: revision, revision: BigInt(revision), entry }, true);
  }

  /** The token of a ticket. */
  token(n: number, lock: string): bigint {
    return this.fold.get({ name: nameOf(lock), id: idOf(n) })?.token ?? 0n;
  }

  take(n: number, lock: string): void {
    this.apply(create(n, lock));
  }

  free(n: number, lock: string): void {
    this.apply(release(n, this.token(n, lock), lock));
  }

  /** What a watch of one lock has told: the tokens in the queue. */
  one(lock: string): readonly (readonly bigint[])[] {
    const told: bigint[][] = [];
    void (async () => {
      for await (const { tickets } of this.#watch.one(nameOf(lock), 10, this.end.signal)) {
        told.push(tickets.map(({ token }) => token));
      }
    })();
    return told;
  }

  many(prefix: string, pulse = false): readonly LockChanges[] {
    const told: LockChanges[] = [];
    void (async () => {
      for await (const changes of this.#watch.many({ prefix: nameOf(prefix), pulse }, this.end.signal)) {
        told.push(changes);
      }
    })();
    return told;
  }

  async advance(ms: number): Promise<void> {
    await this.clock.advance(ms);
    await settled();
  }
}

const namesOf = ({ locks, removed }: LockChanges) => [locks.map(({ name }) => name), removed] as const;

describe("a watch of one lock", () => {
  test("shows it at once, and then whenever it has changed, at most 10 times a second", async () => {
    const stage = new Stage();
    const told = stage.one("a");
    await settled();
    expect(told).toEqual([[]]);
    await stage.advance(1_000);
    expect(told).toHaveLength(1);
    stage.take(1, "a");
    await settled();
    expect(told).toEqual([[], [stage.token(1, "a")]]);
    // What is between is left out.
    const first = stage.token(1, "a");
    stage.free(1, "a");
    stage.take(2, "a");
    stage.take(3, "a");
    stage.take(4, "b");
    await settled();
    expect(told).toHaveLength(2);
    await stage.advance(100);
    expect(told.slice(2)).toEqual([[stage.token(2, "a"), stage.token(3, "a")]]);
    expect(first).toBeLessThan(stage.token(2, "a"));
    stage.end.abort();
    await settled();
    expect(stage.fold.observer).toBeUndefined();
  });

  test("shows it when the log was read anew", async () => {
    const stage = new Stage();
    const told = stage.one("a");
    await stage.advance(100);
    const other = new Stage();
    other.take(1, "a");
    stage.fold.become(other.fold);
    await settled();
    expect(told).toEqual([[], [4096n]]);
    stage.end.abort();
  });
});

describe("a watch of many locks", () => {
  test("tells all that are there, a page at a time, and then those that change", async () => {
    const stage = new Stage();
    for (let n = 1; n <= 300; n++) {
      stage.take(n, `p/${String(n).padStart(3, "0")}`);
    }
    stage.take(1, "q");
    const told = stage.many("p/");
    await stage.advance(2_000);
    expect(told.map(({ locks, complete, restarted }) => [locks.length, complete, restarted])).toEqual([
      [250, false, false],
      [50, true, false],
    ]);
    stage.take(301, "p/301");
    stage.free(1, "p/001");
    stage.take(2, "q");
    await stage.advance(200);
    expect(told).toHaveLength(3);
    expect(told.slice(2).map(namesOf)).toEqual([[[nameOf("p/301")], [nameOf("p/001")]]]);
    stage.end.abort();
    await settled();
    expect(stage.fold.observer).toBeUndefined();
  });

  test("says something every second if that is wanted", async () => {
    const stage = new Stage();
    const told = stage.many("", true);
    await stage.advance(200);
    expect(told).toHaveLength(1);
    for (let second = 0; second < 5; second++) {
      await stage.advance(1_100);
    }
    expect(told).toHaveLength(6);
    expect(told.at(-1)).toMatchObject({ locks: [], removed: [], complete: false, restarted: false });
    stage.end.abort();
    await settled();
    expect(stage.clock.timers).toBe(1);
  });

  test("counts who got these locks, and whose TTL has passed", async () => {
    const stage = new Stage();
    const told = stage.many("p/");
    await stage.advance(200);
    stage.take(1, "p/a");
    stage.take(2, "p/a");
    stage.take(3, "q");
    stage.free(1, "p/a");
    const remove = { kind: "remove", name: nameOf("p/a"), id: idOf(2), memberId: "" } as const;
    stage.apply({ ...remove, token: stage.token(2, "p/a"), cause: "expired" });
    await stage.advance(200);
    stage.take(4, "p/a");
    await stage.advance(200);
    const sum = (of: "granted" | "expired") => told.reduce((all, changes) => all + changes[of], 0);
    expect([sum("granted"), sum("expired")]).toEqual([3, 1]);
    expect(told.length).toBeGreaterThan(2);
    stage.end.abort();
  });

  test("tells of a lock once, as it is then, however often it has changed meanwhile", async () => {
    const stage = new Stage();
    const told = stage.many("");
    await stage.advance(200);
    for (let n = 1; n <= 1_000; n++) {
      stage.take(n, "a");
      stage.free(n, "a");
    }
    stage.take(1_001, "a");
    await stage.advance(200);
    const changes = told.slice(1).filter(({ locks }) => locks.length > 0);
    expect(changes.at(-1)?.locks).toMatchObject([{ state: { holderToken: stage.token(1_001, "a") } }]);
    expect(changes.length).toBeLessThanOrEqual(2);
    stage.end.abort();
  });

  test("begins anew when more has changed than it keeps, so that its memory is bounded", async () => {
    const stage = new Stage();
    const told = stage.many("");
    await stage.advance(200);
    stage.take(1, "kept");
    await stage.advance(200);
    const before = told.length;
    for (let n = 2; n <= 12_000; n++) {
      stage.take(n, `l${n}`);
      stage.free(n, `l${n}`);
    }
    await stage.advance(2_000);
    const after = told.slice(before);
    const restart = after.findIndex(({ restarted }) => restarted);
    expect(restart).toBeGreaterThanOrEqual(0);
    expect(after.slice(restart).map(namesOf)).toEqual([[[nameOf("kept")], []]]);
    expect(after.at(-1)?.complete).toBe(true);
    stage.end.abort();
  });

  test("tells all to the end before it begins anew, however much changes meanwhile", async () => {
    const stage = new Stage();
    for (let n = 1; n <= 600; n++) {
      stage.take(n, `p/${String(n).padStart(3, "0")}`);
    }
    const told = stage.many("");
    while (told.length === 0) {
      await stage.advance(1);
    }
    expect(told).toHaveLength(1);
    for (let n = 1_001; n <= 12_000; n++) {
      stage.take(n, `l${n}`);
      stage.free(n, `l${n}`);
    }
    await stage.advance(2_000);
    expect(told.map(({ locks, complete, restarted }) => [locks.length, complete, restarted])).toEqual([
      [250, false, false],
      [250, false, false],
      [100, true, false],
      [250, false, true],
      [250, false, false],
      [100, true, false],
    ]);
    stage.end.abort();
  });

  test("begins anew when the log was read anew", async () => {
    const stage = new Stage();
    stage.take(1, "before");
    const told = stage.many("");
    await stage.advance(200);
    const other = new Stage();
    other.take(1, "after");
    stage.fold.become(other.fold);
    await stage.advance(500);
    expect(told.at(-1)).toMatchObject({ restarted: true, complete: true });
    expect(told.slice(-1).map(namesOf)).toEqual([[[nameOf("after")], []]]);
    stage.end.abort();
  });
});
