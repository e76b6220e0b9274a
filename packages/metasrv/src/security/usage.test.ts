import { beforeEach, describe, expect, test } from "@jest/globals";
import { ManualClock } from "@metasrv/wire/testing";
import { LockError } from "../model/lock-errors.js";
import { lockNameOf } from "../model/ticket-ref.js";
import type { Quota } from "./quotas-config.js";
import { Usage } from "./usage.js";

const a = lockNameOf(Buffer.from("a"));
const b = lockNameOf(Buffer.from("b"));

let clock: ManualClock;
const usageOf = (quota: Quota) => new Usage("billing", quota, clock);

beforeEach(() => {
  clock = new ManualClock();
});

/** What it refuses with; undefined if it does not. */
function refusal(act: () => unknown): LockError | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    if (error instanceof LockError && error.reason === "quota-exceeded") {
      return error;
    }
    throw error;
  }
}

/** How many times something is done before it is refused. */
function times(act: () => unknown): number {
  for (let count = 0; ; count++) {
    if (refusal(act) !== undefined) {
      return count;
    }
  }
}

test("without a quota, nothing is refused", () => {
  const usage = usageOf({});
  for (let count = 0; count < 1_000; count++) {
    usage.request();
    usage.upkeep();
    expect(usage.waits([a])).toBe(false);
    usage.tickets++;
    usage.requireRoom();
  }
  expect(usage.ttlMs(86_400_000, 10_000)).toBe(86_400_000);
});

describe("requests a second", () => {
  test("may come at once, and then as time goes on; a refusal says when to come back, and it is true", async () => {
    const usage = usageOf({ requestsPerSecond: 10 });
    const request = () => {
      usage.request();
    };
    expect(times(request)).toBe(10);
    expect(refusal(request)?.retryAfterMs).toBe(100);
    await clock.advance(100);
    expect(times(request)).toBe(1);
    await clock.advance(60_000);
    expect(times(request)).toBe(10);
  });

  test("renewals and releases go on for a second's worth when nothing else does", () => {
    const usage = usageOf({ requestsPerSecond: 10 });
    const upkeep = () => {
      usage.upkeep();
    };
    expect(
      times(() => {
        usage.request();
      }),
    ).toBe(10);
    expect(times(upkeep)).toBe(10);
    expect(refusal(upkeep)?.retryAfterMs).toBe(100);
    expect(
      refusal(() => {
        usage.request();
      })?.retryAfterMs,
    ).toBe(1_100);
  });
});

test("tickets are bounded", () => {
  const usage = usageOf({ tickets: 2 });
  usage.tickets = 1;
  usage.requireRoom();
  usage.tickets = 2;
  const error = refusal(() => {
    usage.requireRoom();
  });
  expect(error?.message).toBe(
    'the principal "billing" has 2 requests, held and waiting, at this server, of 2 allowed; ask again in 1000 ms, or have its ' +
      "quota raised",
  );
  expect(error?.retryAfterMs).toBe(1_000);
});

test("waiters are bounded for each lock, of several at once for each of them", () => {
  const usage = usageOf({ waitersPerLock: 1 });
  expect(usage.waits([a])).toBe(true);
  expect(refusal(() => usage.waits([a]))).toBeDefined();
  expect(refusal(() => usage.waits([b, a]))).toBeDefined();
  expect(usage.waits([b])).toBe(true);
  usage.waited([a]);
  usage.waited([b]);
  expect(usage.waits([a, b])).toBe(true);
});

test("a TTL that is too long is refused, and coming back would not help; the default is shortened", () => {
  const usage = usageOf({ maxTtl: "5s" });
  expect(usage.ttlMs(5_000, 10_000)).toBe(5_000);
  expect(usage.ttlMs(0, 10_000)).toBe(5_000);
  expect(usage.ttlMs(0, 1_000)).toBe(0);
  const error = refusal(() => usage.ttlMs(5_001, 10_000));
  expect(error?.message).toContain("5000 ms is the longest");
  expect(error?.retryAfterMs).toBeUndefined();
});
