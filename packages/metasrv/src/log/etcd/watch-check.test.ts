import { beforeEach, describe, expect, test } from "@jest/globals";
import { ManualClock } from "@metasrv/wire/testing";
import { pino } from "pino";
import type { Head } from "./head.js";
import { WatchCheck } from "./watch-check.js";

describe("a check of a watch", () => {
  let clock: ManualClock;
  let check: WatchCheck;
  let canceled: number;
  let completeAt: number | undefined;
  let head: Head | undefined;
  let asked: number;

  const watch = { cancel: () => canceled++ };

  beforeEach(() => {
    clock = new ManualClock();
    canceled = 0;
    asked = 0;
    completeAt = undefined;
    head = { revision: 0n, isWhole: true, gone: [] };
    check = new WatchCheck({
      clock,
      logger: pino({ level: "silent" }),
      checkMs: 1_000,
      readHead: () => {
        asked++;
        return head === undefined ? Promise.reject(new Error("no answer")) : Promise.resolve(head);
      },
      onComplete: (atMs) => (completeAt = atMs),
    });
    check.listed(50n);
    check.watch(watch, 50n);
  });

  test("keeps a watch that has nothing to show", async () => {
    await clock.advance(60_000);
    expect([canceled, asked]).toEqual([0, 60]);
    expect(completeAt).toBe(clock.now());
  });

  test("gives up a watch that does not show what was committed, after three looks", async () => {
    check.committed(60n);
    await clock.advance(749);
    expect(canceled).toBe(0);
    await clock.advance(1);
    expect(canceled).toBe(1);
  });

  test("keeps a watch that shows it, is further already, or still has others to show", async () => {
    check.committed(60n);
    check.heard(60n);
    await clock.advance(900);
    check.committed(59n);
    await clock.advance(2_000);
    check.committed(80n);
    for (let revision = 61n; revision < 80n; revision++) {
      await clock.advance(200);
      check.heard(revision);
    }
    check.heard(80n);
    await clock.advance(5_000);
    expect(canceled).toBe(0);
  });

  test("gives up a watch that does not tell of a member's end, though it shows all that is there", async () => {
    head = { revision: 0n, isWhole: true, gone: ["1"] };
    await clock.advance(1_999);
    expect(canceled).toBe(0);
    expect(completeAt).toBeUndefined();
    await clock.advance(1);
    expect(canceled).toBe(1);
  });

  test("keeps one that tells of members' ends with the time that events take", async () => {
    for (let n = 0; n < 10; n++) {
      head = { revision: 0n, isWhole: true, gone: [`${n}`] };
      await clock.advance(1_000);
    }
    expect(canceled).toBe(0);
  });

  test("is not taken in by signs of life that show nothing for long, and starts anew with each", async () => {
    check.committed(60n);
    for (let time = 0; time < 10; time++) {
      await clock.advance(500);
      check.heard(undefined);
    }
    expect(canceled).toBe(0);
    await clock.advance(750);
    expect(canceled).toBe(1);
  });

  test("gives each watch after a silent one twice as long, until one shows everything", async () => {
    check.committed(60n);
    await clock.advance(750);
    check.stop();
    check.watch(watch, 50n);
    await clock.advance(1_499);
    expect(canceled).toBe(1);
    await clock.advance(1);
    expect(canceled).toBe(2);
    check.stop();
    check.watch(watch, 50n);
    check.heard(60n);
    check.committed(61n);
    await clock.advance(750);
    expect(canceled).toBe(3);
  });

  test("says that everything was delivered as of when it asked, once that was", async () => {
    head = { revision: 55n, isWhole: true, gone: [] };
    await clock.advance(1_000);
    const askedAt = clock.now();
    expect(completeAt).toBeUndefined();
    await clock.advance(300);
    check.heard(55n);
    check.delivered(55n);
    expect(completeAt).toBe(askedAt);
  });

  test("does not say so of what was not all", async () => {
    head = { revision: 55n, isWhole: false, gone: [] };
    await clock.advance(1_000);
    check.delivered(55n);
    expect(completeAt).toBeUndefined();
  });

  test("asks again soon when there was no answer, and does not hold that against the watch", async () => {
    head = undefined;
    await clock.advance(3_000);
    expect(asked).toBe(11);
    expect([canceled, completeAt]).toEqual([0, undefined]);
  });

  test("asks and looks no more once the watch is over", async () => {
    check.committed(60n);
    check.stop();
    await clock.advance(10_000);
    expect([canceled, asked]).toEqual([0, 0]);
    expect(clock.timers).toBe(0);
  });

  test("forgets what was known of the store before a listing", async () => {
    check.committed(1_000n);
    check.stop();
    check.listed(70n);
    check.watch(watch, 70n);
    await clock.advance(10_000);
    expect(canceled).toBe(0);
  });
});
