import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Outcome } from "../model/command.js";
import { Writers } from "./writers.js";

const done: readonly Outcome[] = [{ kind: "done" }];

/** Entries of two members in any order, each of which says what its writer knows by then. */
const entries = fc.array(
  fc.record({ memberId: fc.constantFrom("m1", "m2"), sequence: fc.integer({ min: 1, max: 12 }), known: fc.nat() }),
  { maxLength: 40 },
);

describe("the writers of a log", () => {
  test("know which entries were applied, and the outcomes of those that their writer may ask for", () => {
    fc.assert(
      fc.property(entries, (steps) => {
        const writers = new Writers();
        const applied = { m1: new Map<number, readonly Outcome[]>(), m2: new Map<number, readonly Outcome[]>() };
        const settled = { m1: 0, m2: 0 };
        for (const { memberId, sequence, known } of steps as {
          memberId: "m1" | "m2";
          sequence: number;
          known: number;
        }[]) {
          if (writers.has(memberId, sequence)) {
            continue;
          }
          const outcomes: Outcome[] = [{ kind: "holds", token: BigInt(sequence), moved: false }];
          // A writer knows at most what was applied before, without a gap.
          const says = known % (upTo(applied[memberId]) + 1);
          writers.applied(memberId, sequence, says, outcomes);
          applied[memberId].set(sequence, outcomes);
          settled[memberId] = Math.max(settled[memberId], says);
          for (const member of ["m1", "m2"] as const) {
            for (let other = 1; other <= 13; other++) {
              const isKept = other > settled[member];
              expect(writers.has(member, other)).toBe(applied[member].has(other));
              expect(writers.outcomes(member, other)).toBe(isKept ? applied[member].get(other) : undefined);
            }
            expect(writers.foldedUpTo(member)).toBe(upTo(applied[member]));
          }
        }
      }),
    );
  });

  test("are the same after they were stored and read", () => {
    fc.assert(
      fc.property(entries, (steps) => {
        const writers = new Writers();
        for (const { memberId, sequence, known } of steps) {
          writers.applied(memberId, sequence, known % sequence, done);
        }
        const restored = new Writers();
        writers.progress().forEach((progress) => {
          restored.restore(progress);
        });
        expect(restored.progress()).toEqual(writers.progress());
        for (const { memberId, sequence } of steps) {
          expect(restored.has(memberId, sequence)).toBe(true);
          expect(restored.outcomes(memberId, sequence)).toBe(writers.outcomes(memberId, sequence));
          expect(restored.foldedUpTo(memberId)).toBe(writers.foldedUpTo(memberId));
        }
      }),
    );
  });
});

describe("a writer", () => {
  test("that says less than before takes nothing back", () => {
    const writers = new Writers();
    writers.applied("m1", 1, 0, done);
    writers.applied("m1", 3, 1, done);
    writers.applied("m1", 2, 0, done);
    expect(writers.outcomes("m1", 1)).toBeUndefined();
    expect(writers.has("m1", 1)).toBe(true);
    expect(writers.progress()).toMatchObject([{ settled: 1 }]);
  });

  test("of which nothing is known has written nothing", () => {
    const writers = new Writers();
    expect(writers.has("m1", 1)).toBe(false);
    expect(writers.foldedUpTo("m1")).toBe(0);
    expect(writers.outcomes("m1", 1)).toBeUndefined();
    expect(writers.progress()).toEqual([]);
  });

  test("that is gone is forgotten, and the others are not", () => {
    const writers = new Writers();
    for (const memberId of ["m1", "m2", "m3"]) {
      writers.applied(memberId, 1, 0, done);
    }
    writers.forget("m1");
    expect(writers.progress().map(({ memberId }) => memberId)).toEqual(["m2", "m3"]);
    writers.keepOnly(new Set(["m3", "m4"]));
    expect(writers.progress().map(({ memberId }) => memberId)).toEqual(["m3"]);
  });
});

test("what was stored does not change with the writers that it was taken of", () => {
  const writers = new Writers();
  writers.applied("m1", 1, 0, done);
  const stored = writers.progress();
  writers.applied("m1", 2, 1, done);
  expect(stored).toEqual([{ memberId: "m1", settled: 0, entries: [{ sequence: 1, outcomes: done }] }]);
});

/** The sequence up to which there is no gap. */
function upTo(applied: ReadonlyMap<number, unknown>): number {
  let sequence = 0;
  while (applied.has(sequence + 1)) {
    sequence++;
  }
  return sequence;
}
