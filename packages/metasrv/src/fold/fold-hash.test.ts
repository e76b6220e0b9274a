import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { generatedLog, type Step } from "../../test-support/generated-log.js";
import { type PlainTicket, ticketsOf } from "../../test-support/plain-table.js";
import { create } from "../../test-support/told.js";
import type { LoggedEntry, StateHash } from "../model/command.js";
import { FatalError } from "../model/fatal-error.js";
import { Fold } from "./fold.js";

/** Of an owner text, the hash has the length only. */
const hashed = (tickets: readonly PlainTicket[]) =>
  tickets.map(({ content, ...ticket }) => ({ ...ticket, ...content, owner: content.owner.length }));

function entry(sequence: number, seen?: StateHash, ticket = sequence): LoggedEntry {
  const commands = [create(ticket)];
  return { memberId: "m1", sequence, revision: BigInt(sequence), entry: { level: 1, settled: 0, seen, commands } };
}

/** A fold of so many entries, and its hash after each. */
function foldOf(entries: number): { readonly fold: Fold; readonly hashes: readonly StateHash[] } {
  const fold = new Fold();
  const hashes = Array.from({ length: entries }, (_, index) => {
    fold.apply(entry(index + 1), true);
    return fold.hash;
  });
  return { fold, hashes };
}

describe("the hash of what is folded", () => {
  test("is the same where the tickets and records are, and another where they are not, though the logs differ in one command", () => {
    fc.assert(
      fc.property(generatedLog, fc.nat(), fc.nat(), (log, at, which) => {
        const changed = without(log, at % log.length, which);
        const folds = [log, changed].map((steps) => {
          const fold = new Fold();
          steps.forEach(({ logged }) => fold.apply(logged, false));
          return fold;
        });
        const [tickets, others] = folds.map((fold) => [hashed(ticketsOf(fold)), [...fold.forced.values()]]);
        const [hash, other] = folds.map((fold) => fold.hash);
        if (JSON.stringify(tickets, bigints) === JSON.stringify(others, bigints)) {
          expect(other).toEqual(hash);
        } else {
          expect(other).not.toEqual(hash);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("of no tickets is that of an empty log, however many there were", () => {
    const fold = new Fold();
    fold.apply(entry(1), true);
    fold.apply({ ...entry(2), entry: { ...entry(2).entry, commands: [removal(4096n)] } }, true);
    expect(fold.hash).toEqual({ revision: 2n, low: 0, high: 0 });
  });
});

describe("an entry whose writer had another table", () => {
  test("ends the process, and names the writer and the revision", () => {
    const { fold, hashes } = foldOf(3);
    const [, seen] = hashes;
    if (seen === undefined) {
      throw new Error("there is no second hash");
    }
    for (const other of [
      { ...seen, low: seen.low ^ 1 },
      { ...seen, high: seen.high ^ 1 },
    ]) {
      expect(() => fold.apply(entry(4, other), true)).toThrow(FatalError);
      expect(() => fold.apply(entry(4, other), true)).toThrow(
        /member m1 .* revision 2: .* before it grants anything more/s,
      );
    }
    expect(fold.size).toBe(3);
    expect(fold.apply(entry(4, seen), true)).toHaveLength(1);
  });

  test("is found wherever its writer stood in the log", () => {
    fc.assert(
      fc.property(fc.nat({ max: 30 }), fc.nat({ max: 30 }), fc.boolean(), (behind, more, differs) => {
        const { fold, hashes } = foldOf(behind + more + 1);
        const seen = hashes[more];
        const shown = seen === undefined ? undefined : { ...seen, low: differs ? seen.low ^ 0x8000_0000 : seen.low };
        const next = entry(behind + more + 2, shown && { ...shown, low: shown.low >>> 0 });
        if (differs) {
          expect(() => fold.apply(next, true)).toThrow(FatalError);
        } else {
          expect(fold.apply(next, true)).toHaveLength(1);
        }
      }),
    );
  });

  test("is passed over where that cannot be judged: it is only listed, of another store, or too long ago", () => {
    const { fold, hashes } = foldOf(1_030);
    const wrong = { low: 1, high: 1 };
    const outcomes = (logged: LoggedEntry, live: boolean) => fold.apply(logged, live);
    expect(outcomes(entry(1_031, { ...wrong, revision: 1_030n }), false)).toHaveLength(1);
    expect(outcomes(entry(1_032, { ...wrong, revision: 1_032n }), true)).toHaveLength(1);
    expect(outcomes(entry(1_033, { ...wrong, revision: 5n }), true)).toHaveLength(1);
    expect(() => outcomes(entry(1_034, { ...wrong, revision: 1_033n }), true)).toThrow(FatalError);
    expect(hashes).toHaveLength(1_030);
  });

  test("is no matter when the entry was taken in before", () => {
    const { fold } = foldOf(2);
    expect(fold.apply({ ...entry(2, { revision: 1n, low: 1, high: 1 }), revision: 3n }, true)).toBeUndefined();
  });
});

test("a snapshot's hash is one that later entries are compared with", () => {
  const { fold } = foldOf(2);
  const { base, hash } = fold;
  const loaded = fold.fresh(base);
  for (let part, snapshot = fold.snapshot(); (part = snapshot.next(10)) !== undefined;) {
    loaded.load(part);
  }
  loaded.loaded(hash);
  expect(() => loaded.apply(entry(3, { ...hash, high: hash.high ^ 1 }), true)).toThrow(FatalError);
  expect(loaded.apply(entry(3, hash), true)).toHaveLength(1);
});

/** The log without one command of one entry; all others stay at their places. */
function without(log: readonly Step[], at: number, which: number): Step[] {
  return log.map((step, index) => {
    if (index !== at) {
      return step;
    }
    const { entry: whole } = step.logged;
    const commands = whole.commands.map((command, place) =>
      place === which % whole.commands.length ? ({ kind: "raise-floor", token: 0n } as const) : command,
    );
    return { ...step, logged: { ...step.logged, entry: { ...whole, commands } } };
  });
}

function removal(token: bigint) {
  const [command] = [create(1)];
  const { name, id } = command as Extract<typeof command, { kind: "create" }>;
  return { kind: "remove", name, id, token, cause: "released", memberId: "" } as const;
}

function bigints(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}
