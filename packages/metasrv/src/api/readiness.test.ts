import { describe, expect, test } from "@jest/globals";
import { ManualClock } from "@metasrv/wire/testing";
import { Readiness } from "./readiness.js";

describe("readiness", () => {
  test("tells watchers of changes, within half a second, or when it is told to look", async () => {
    const clock = new ManualClock();
    const problems: string[] = [];
    const readiness = new Readiness({ clock, problems: () => problems });
    const seen: boolean[] = [];
    const unwatch = readiness.watch(() => seen.push(readiness.ready));
    await clock.advance(2_000);
    expect(seen).toEqual([]);
    problems.push("etcd is away");
    await clock.advance(500);
    problems.push("and more");
    await clock.advance(2_000);
    expect(seen).toEqual([false]);
    problems.length = 0;
    readiness.look();
    expect(seen).toEqual([false, true]);
    unwatch();
    expect(clock.timers).toBe(0);
  });

  test("one that watches later is told of changes since then only", async () => {
    const clock = new ManualClock();
    const readiness = new Readiness({ clock, problems: () => ["etcd is away"] });
    let changes = 0;
    const unwatch = readiness.watch(() => changes++);
    await clock.advance(2_000);
    expect(changes).toBe(0);
    unwatch();
  });
});
