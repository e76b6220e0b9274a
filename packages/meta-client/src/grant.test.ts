import { describe, expect, test } from "@jest/globals";
import type { PartGrant } from "@metasrv/proto/metasrv/v1";
import { ManualClock } from "@metasrv/wire/testing";
import fc from "fast-check";
import { marginMs, readGrant, Validity } from "./grant.js";
import { LockLostError } from "./meta-errors.js";

const grant = {
  $typeName: "metasrv.v1.Grant",
  key: Uint8Array.of(1),
  token: 42n,
  floor: 42n,
  limit: 0,
  parts: [] as PartGrant[],
  ttlMs: 10_000n,
} as const;

describe("a grant is counted", () => {
  test("from when the request was sent, and the wait", () => {
    expect(readGrant({ ...grant, waitedMs: 0 }, 500)).toMatchObject({ ttlMs: 10_000, grantedAtMs: 500 });
  });

  test.each([
    [1_000, 999],
    [60_000, 59_940],
    [3_600_000, 3_597_500],
    [86_400_000, 86_397_500],
  ])("as if the server's clock had run fast: a wait of %d ms counts as %d ms", (waitedMs, counted) => {
    expect(readGrant({ ...grant, waitedMs }, 500).grantedAtMs).toBe(500 + counted);
  });
});

const ranOut = (): LockLostError => new LockLostError("ran out");

function validity(ttlMs = 10_000): { clock: ManualClock; valid: Validity; startMs: number } {
  const clock = new ManualClock();
  const startMs = clock.now();
  return { clock, startMs, valid: new Validity({ clock, startedAtMs: startMs, ttlMs, ranOut }) };
}

describe("marginMs", () => {
  test.each([
    [100, 5],
    [1_000, 50],
    [5_000, 250],
    [86_400_000, 250],
  ])("of a TTL of %d ms is %d ms", (ttlMs, expected) => {
    expect(marginMs(ttlMs)).toBe(expected);
  });
});

describe("Validity", () => {
  test("is over so long before its end as was asked for, also after a renewal", async () => {
    const clock = new ManualClock();
    const startMs = clock.now();
    const valid = new Validity({ clock, startedAtMs: startMs, ttlMs: 10_000, endMarginMs: 4_000, ranOut });
    await clock.advance(5_999);
    valid.ask(10_000);
    valid.confirm(clock.now(), 10_000);
    await clock.advance(5_999);
    expect(valid.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(valid.signal.aborted).toBe(true);
    expect(valid.expiresAtMs).toBe(startMs + 15_999);
  });

  test("is over a part of its TTL before its end, if that is longer than was asked for", async () => {
    const clock = new ManualClock();
    const valid = new Validity({ clock, startedAtMs: clock.now(), ttlMs: 10_000, endMarginMs: 1, ranOut });
    await clock.advance(9_749);
    expect(valid.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(valid.signal.aborted).toBe(true);
  });

  test("ends one TTL after it began, and the signal aborts a margin before", async () => {
    const { clock, startMs, valid } = validity();
    expect(valid.expiresAtMs).toBe(startMs + 10_000);
    await clock.advance(9_749);
    expect(valid.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(valid.signal.reason).toBeInstanceOf(LockLostError);
    expect(clock.timers).toBe(0);
  });

  test("a confirmed renewal counts from when its request was sent, not from its answer", async () => {
    const { clock, startMs, valid } = validity();
    await clock.advance(3_000);
    valid.ask(10_000);
    await clock.advance(2_000);
    valid.confirm(startMs + 3_000, 10_000);
    expect(valid.expiresAtMs).toBe(startMs + 13_000);
    await clock.advance(7_749);
    expect(valid.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(valid.signal.aborted).toBe(true);
  });

  test("an unknown renewal never extends", async () => {
    const { clock, startMs, valid } = validity();
    await clock.advance(3_000);
    valid.ask(60_000);
    expect(valid.expiresAtMs).toBe(startMs + 10_000);
    valid.doubt(60_000);
    expect(valid.expiresAtMs).toBe(startMs + 10_000);
  });

  test("a renewal for less counts from its sending, because the server may have done it already", async () => {
    const { clock, startMs, valid } = validity();
    await clock.advance(1_000);
    valid.ask(2_000);
    expect(valid.expiresAtMs).toBe(startMs + 3_000);
    valid.doubt(2_000);
    expect(valid.expiresAtMs).toBe(startMs + 3_000);
    // This renewal may still arrive, after a longer one was confirmed.
    valid.ask(10_000);
    valid.confirm(startMs + 1_500, 10_000);
    expect(valid.expiresAtMs).toBe(startMs + 3_500);
  });

  test("a renewal that the server turned down changes nothing", () => {
    const { startMs, valid } = validity();
    valid.ask(1);
    valid.dismiss();
    expect(valid.expiresAtMs).toBe(startMs + 10_000);
  });

  test("a known loss aborts at once", () => {
    const { clock, valid } = validity();
    const reason = new LockLostError("gone");
    valid.lose(reason);
    expect(valid.signal.reason).toBe(reason);
    expect(clock.timers).toBe(0);
  });

  test("a renewal that is confirmed after the signal revives nothing", async () => {
    const { clock, startMs, valid } = validity();
    await clock.advance(9_000);
    valid.ask(10_000);
    await clock.advance(750);
    valid.confirm(startMs + 9_000, 10_000);
    expect(valid.signal.aborted).toBe(true);
    expect(valid.expiresAtMs).toBe(startMs + 10_000);
    expect(clock.timers).toBe(0);
  });

  test("once stopped, it never aborts", async () => {
    const { clock, valid } = validity();
    valid.stop();
    valid.lose(ranOut());
    await clock.advance(20_000);
    expect(valid.signal.aborted).toBe(false);
  });

  test("lasts longer than a Node timer can", async () => {
    const ttlMs = 2 ** 33;
    const { clock, valid } = validity(ttlMs);
    await clock.advance(ttlMs - 251);
    expect(valid.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(valid.signal.aborted).toBe(true);
  });

  // Renewals reach the server in any order, late, or not at all. Each that arrives sets the server's expiry to its
  // arrival plus its TTL. The client learns only of the confirmed ones.
  test("never lies beyond what the server keeps", async () => {
    const step = fc.record({
      idleMs: fc.integer({ min: 0, max: 2_000 }),
      ttlMs: fc.integer({ min: 200, max: 5_000 }),
      fate: fc.constantFrom("confirmed", "lost on the way", "answer lost", "late"),
      travelMs: fc.integer({ min: 0, max: 300 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const { clock, startMs, valid } = validity(3_000);
        let serverEndsMs = startMs + 3_000;
        let late: number[] = [];
        const receive = (ttlMs: number): boolean => {
          const held = serverEndsMs > clock.now();
          if (held) {
            serverEndsMs = clock.now() + ttlMs;
          }
          return held;
        };
        for (const { idleMs, ttlMs, fate, travelMs } of steps) {
          await clock.advance(idleMs);
          if (valid.signal.aborted) {
            return;
          }
          const sentAtMs = clock.now();
          valid.ask(ttlMs);
          await clock.advance(travelMs);
          if (fate === "late") {
            late.push(ttlMs);
          }
          const held = (fate === "confirmed" || fate === "answer lost") && receive(ttlMs);
          if (fate === "confirmed" && held) {
            valid.confirm(sentAtMs, ttlMs);
            late.forEach(receive);
            late = [];
          } else {
            valid.doubt(ttlMs);
          }
          expect(valid.expiresAtMs).toBeLessThanOrEqual(serverEndsMs);
        }
      }),
    );
  });
});
