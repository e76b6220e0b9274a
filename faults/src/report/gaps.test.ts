import { expect, test } from "@jest/globals";
import type { Ask } from "../history/ask.js";
import { gapsDuring } from "./gaps.js";

const ms = 1_000;

/** The asks of one probe, granted at these moments, in milliseconds. */
function probe(process: string, grantsMs: readonly number[], diedUs?: number): Ask[] {
  return grantsMs.map((at) => ({
    id: `${process}.0.${at}`,
    process,
    lock: `probe/${process}.0`,
    ttlMs: 1,
    keepAlive: false,
    askedUs: at * ms,
    permits: 1,
    limit: 1,
    grantedUs: at * ms,
    errors: [],
    ...(diedUs === undefined ? {} : { diedUs }),
  }));
}

function awayMs(asks: readonly Ask[], target = "node-1"): number {
  const span = { kind: "metasrv-kill", target, beginUs: 100 * ms, healedUs: 150 * ms, endUs: 200 * ms };
  return gapsDuring(span, { asks, putsUs: [], endUs: 1_000 * ms }).locksMs;
}

test("the longest time between two grants within the span counts, of the worst client", () => {
  expect(awayMs([...probe("a-1", [90, 110, 140, 190, 210]), ...probe("b-1", [90, 120, 150, 180, 210])])).toBe(50);
});

test("what reaches beyond the span is cut off there", () => {
  expect(awayMs(probe("a-1", [10, 160, 400]))).toBe(60);
  expect(awayMs(probe("a-1", [10, 400]))).toBe(100);
});

test("a probe that is never answered again counts to the end, unless it was killed", () => {
  expect(awayMs(probe("a-1", [110]))).toBe(90);
  expect(awayMs(probe("a-1", [110], 120 * ms))).toBe(0);
});

test("a client that is itself the target does not count", () => {
  expect(awayMs(probe("a-1", [110, 190]), "a")).toBe(0);
});
