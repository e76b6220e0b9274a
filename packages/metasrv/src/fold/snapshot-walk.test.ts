import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { generatedLog, loadedFrom, partsOf, type Step } from "../../test-support/generated-log.js";
import { ticketsOf } from "../../test-support/plain-table.js";
import { create, release } from "../../test-support/told.js";
import type { Command } from "../model/command.js";
import type { SnapshotPart } from "../model/snapshot.js";
import { Fold } from "./fold.js";

/** What happens between two parts: so many entries come, and then at most so many tickets are taken. */
const pace = fc.array(fc.record({ entries: fc.nat({ max: 3 }), count: fc.integer({ min: 1, max: 3 }) }), {
  maxLength: 40,
});

function apply(fold: Fold, steps: readonly Step[]): void {
  for (const { logged } of steps) {
    fold.apply(logged, true);
  }
}

function applied(fold: Fold, sequence: number, commands: readonly Command[]): void {
  const entry = { level: 1, settled: sequence - 1, seen: undefined, commands };
  fold.apply({ memberId: "m1", sequence, revision: BigInt(sequence), entry }, true);
}

/** A part as it is written at once: its tickets are those of the table, and change with it. */
function taken(part: SnapshotPart | undefined): SnapshotPart[] {
  if (part === undefined) {
    return [];
  }
  const tickets = part.tickets.map(({ name, id, token, content, memberId, attempt }) => {
    return { name, id, token, content, memberId, attempt };
  });
  return [{ ...part, tickets }];
}

describe("a snapshot that is taken while entries go on coming", () => {
  test("is what was folded when it began, whatever changes between its parts", () => {
    fc.assert(
      fc.property(generatedLog, fc.nat(), pace, (log, at, pauses) => {
        const begin = at % (log.length + 1);
        const fold = new Fold();
        apply(fold, log.slice(0, begin));
        const before = { tickets: ticketsOf(fold), hash: fold.hash, base: fold.base };
        const upTo = fold.foldedUpTo("m1");
        const snapshot = fold.snapshot();
        const parts: SnapshotPart[] = [];
        let next = begin;
        for (const { entries, count } of pauses) {
          apply(fold, log.slice(next, next + entries));
          next += entries;
          parts.push(...taken(snapshot.next(count)));
        }
        apply(fold, log.slice(next));
        parts.push(...partsOf(snapshot));
        const loaded = loadedFrom(fold, snapshot, parts);
        expect(ticketsOf(loaded)).toEqual(before.tickets);
        expect({ hash: loaded.hash, base: loaded.base }).toEqual({ hash: before.hash, base: before.base });
        expect(loaded.foldedUpTo("m1")).toBe(upTo);
        expect(snapshot.isValid).toBe(true);
        // The log after it leads to the same table from both.
        apply(loaded, log.slice(begin));
        expect(ticketsOf(loaded)).toEqual(ticketsOf(fold));
        expect(loaded.hash).toEqual(fold.hash);
      }),
    );
  });

  test("has every ticket once, and every member's progress once", () => {
    fc.assert(
      fc.property(generatedLog, pace, (log, pauses) => {
        const fold = new Fold();
        const begin = Math.ceil(log.length / 2);
        apply(fold, log.slice(0, begin));
        const { size } = fold;
        const snapshot = fold.snapshot();
        const parts: SnapshotPart[] = [];
        pauses.forEach(({ count }, index) => {
          apply(fold, log.slice(begin + index, begin + index + 1));
          parts.push(...taken(snapshot.next(count)));
        });
        parts.push(...partsOf(snapshot));
        const tokens = parts.flatMap(({ tickets }) => tickets.map(({ token }) => token));
        expect(new Set(tokens).size).toBe(tokens.length);
        expect(tokens).toHaveLength(size);
        const members = parts.flatMap(({ writers }) => writers.map(({ memberId }) => memberId));
        expect(members.sort()).toEqual([...new Set(log.slice(0, begin).map(({ logged }) => logged.memberId))].sort());
      }),
    );
  });

  test("gives no more tickets at a time than it is asked for, however many have changed meanwhile", () => {
    const fold = new Fold();
    const numbers = Array.from({ length: 50 }, (_, n) => n);
    applied(
      fold,
      1,
      numbers.map((n) => create(n, `lock ${n}`)),
    );
    const snapshot = fold.snapshot();
    applied(
      fold,
      2,
      numbers.map((n) => release(n, 4096n + BigInt(n), `lock ${n}`)),
    );
    expect(fold.size).toBe(0);
    const parts = partsOf(snapshot, 20);
    expect(parts.map(({ tickets }) => tickets.length)).toEqual([20, 20, 10]);
  });
});

describe("a snapshot", () => {
  test("of nothing has no part, and one of members without tickets has their progress", () => {
    const fold = new Fold();
    expect(partsOf(fold.snapshot())).toEqual([]);
    applied(fold, 1, []);
    expect(partsOf(fold.snapshot())).toEqual([
      { tickets: [], writers: [{ memberId: "m1", settled: 0, entries: [{ sequence: 1, outcomes: [] }] }], forced: [] },
    ]);
  });

  test("may be given up, and the next one has everything again", () => {
    const fold = new Fold();
    applied(fold, 1, [create(1), create(2), create(3)]);
    const first = fold.snapshot();
    expect(first.next(2)?.tickets).toHaveLength(2);
    first.end();
    expect(partsOf(fold.snapshot()).flatMap(({ tickets }) => tickets)).toHaveLength(3);
  });

  test("cannot be finished once the table was read anew", () => {
    const fold = new Fold();
    applied(fold, 1, [create(1)]);
    const snapshot = fold.snapshot();
    fold.become(fold.fresh({ level: 1, revision: 1n, revisionOffset: 0n }));
    expect(snapshot.isValid).toBe(false);
    expect(fold.snapshot().isValid).toBe(true);
  });
});
