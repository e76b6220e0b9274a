import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { generatedLog, loadedFrom, partsOf, writerIds } from "../../test-support/generated-log.js";
import { ticketsOf } from "../../test-support/plain-table.js";
import { create } from "../../test-support/told.js";
import { FatalError } from "../model/fatal-error.js";
import { Fold } from "./fold.js";

describe("a fold that begins with a snapshot", () => {
  test("goes on as the one that it was taken of, wherever in the log that was", () => {
    fc.assert(
      fc.property(generatedLog, (log) => {
        const fold = new Fold();
        const others: Fold[] = [];
        for (const { logged } of log) {
          const snapshot = fold.snapshot();
          others.push(loadedFrom(fold, snapshot, partsOf(snapshot)));
          const outcomes = fold.apply(logged, true);
          for (const other of others) {
            expect(other.apply({ ...logged, entry: { ...logged.entry, seen: fold.hash } }, true)).toEqual(outcomes);
            expect(other.hash).toEqual(fold.hash);
            expect(other.base).toEqual(fold.base);
            expect(other.nextToken).toBe(fold.nextToken);
          }
        }
        for (const other of others) {
          expect(ticketsOf(other)).toEqual(ticketsOf(fold));
        }
      }),
    );
  });

  test("does not depend on the order in which the parts come, nor on how they were cut", () => {
    fc.assert(
      fc.property(generatedLog, fc.integer({ min: 1, max: 10 }), (log, count) => {
        const fold = new Fold();
        log.forEach(({ logged }) => fold.apply(logged, true));
        const snapshot = fold.snapshot();
        const loaded = loadedFrom(fold, snapshot, partsOf(snapshot, count).reverse());
        expect(ticketsOf(loaded)).toEqual(ticketsOf(fold));
        expect(loaded.hash).toEqual(fold.hash);
      }),
    );
  });

  test("passes over every entry that the snapshot has, when it is written once more after trimming", () => {
    fc.assert(
      fc.property(generatedLog, fc.nat(), (log, at) => {
        const fold = new Fold();
        const covered = log.slice(0, at % (log.length + 1));
        covered.forEach(({ logged }) => fold.apply(logged, true));
        const snapshot = fold.snapshot();
        const loaded = loadedFrom(fold, snapshot, partsOf(snapshot));
        let { revision } = loaded.base;
        for (const { logged } of covered) {
          expect(loaded.apply({ ...logged, revision: ++revision }, true)).toBeUndefined();
          expect(loaded.hash).toEqual(fold.hash);
          expect(loaded.outcomes(logged.memberId, logged.sequence)).toEqual(
            fold.outcomes(logged.memberId, logged.sequence),
          );
        }
        for (const memberId of writerIds) {
          expect(loaded.foldedUpTo(memberId)).toBe(fold.foldedUpTo(memberId));
        }
        expect(ticketsOf(loaded)).toEqual(ticketsOf(fold));
      }),
    );
  });

  test("ends the process when a ticket of it is missing, or another than was folded", () => {
    const fold = new Fold();
    const entry = { level: 1, settled: 0, seen: undefined, commands: [create(1), create(2)] };
    fold.apply({ memberId: "m1", sequence: 1, revision: 1n, entry }, true);
    const snapshot = fold.snapshot();
    const [part] = partsOf(snapshot);
    const [first, second] = part?.tickets ?? [];
    if (first === undefined || second === undefined) {
      throw new Error("the snapshot has no two tickets");
    }
    for (const tickets of [[], [first], [first, { ...second, memberId: "m2" }], [first, { ...second, attempt: 1 }]]) {
      expect(() => loadedFrom(fold, snapshot, [{ tickets, writers: [], forced: [] }])).toThrow(FatalError);
    }
    expect(() => loadedFrom(fold, snapshot, [{ tickets: [second, first], writers: [], forced: [] }])).not.toThrow();
    expect(() => loadedFrom(fold, snapshot, [])).toThrow(/snapshot at revision 1 .* restore etcd from a backup/);
  });

  test("cannot be finished once another was begun or the table was read anew", () => {
    const fold = new Fold();
    const first = fold.snapshot();
    const second = fold.snapshot();
    expect([first.isValid, second.isValid]).toEqual([false, true]);
    first.end();
    fold.become(fold.fresh(fold.base));
    expect(second.isValid).toBe(false);
  });
});
