import { describe, expect, test } from "@jest/globals";
import { create } from "../../test-support/told.js";
import { type Command, knownLevel, type LoggedEntry } from "../model/command.js";
import { FatalError } from "../model/fatal-error.js";
import { Fold } from "./fold.js";

const base = { level: 1, revision: 0n, revisionOffset: 0n };

/** A fold of a version that knows levels up to this one. */
function knowing(level: number): Fold {
  return new Fold(base, level);
}

function entry(sequence: number, level: number, ...commands: Command[]): LoggedEntry {
  return {
    memberId: "m1",
    sequence,
    revision: BigInt(sequence),
    entry: { level, settled: 0, seen: undefined, commands },
  };
}

describe("an entry of a level that this version does not know", () => {
  test("ends the process, and says which level the log is at, what is known, and to upgrade", () => {
    const fold = knowing(2);
    const what = /the log is at level 3, and this version of metasrv knows levels up to 2: .* upgrade this server/;
    expect(() => fold.apply(entry(1, 3, create(1)), true)).toThrow(FatalError);
    expect(() => fold.apply(entry(1, 3, create(1)), true)).toThrow(what);
    expect(() => fold.apply(entry(1, 3, create(1)), false)).toThrow(what);
    expect(fold.size).toBe(0);
  });

  test("ends the process even where the entry was taken in before: nothing of it can be told", () => {
    const fold = knowing(1);
    fold.apply(entry(1, 1, create(1)), true);
    expect(() => fold.apply(entry(1, 2, create(1)), true)).toThrow(FatalError);
  });

  test("is read by a version that knows it, as are those of lower levels after it", () => {
    const fold = knowing(2);
    expect(fold.apply(entry(1, 2, create(1)), true)).toHaveLength(1);
    expect(fold.apply(entry(2, 1, create(2)), true)).toHaveLength(1);
  });
});

describe("a command that raises the level", () => {
  test("raises that of the base, and never lowers it", () => {
    const fold = knowing(3);
    expect(fold.base.level).toBe(1);
    expect(fold.apply(entry(1, 1, { kind: "raise-level", level: 3 }), true)).toEqual([{ kind: "done" }]);
    expect(fold.base.level).toBe(3);
    fold.apply(entry(2, 1, { kind: "raise-level", level: 2 }), true);
    expect(fold.base.level).toBe(3);
  });

  test("beyond what this version knows ends it there, before an entry of that level comes", () => {
    expect(() => knowing(1).apply(entry(1, 1, { kind: "raise-level", level: 2 }), true)).toThrow(
      /at level 2, .* up to 1: .* upgrade/,
    );
  });

  test("counts for whoever begins with a snapshot of it", () => {
    const fold = knowing(2);
    fold.apply(entry(1, 1, { kind: "raise-level", level: 2 }), true);
    const { base: raised } = fold.snapshot();
    expect(raised.level).toBe(2);
    expect(fold.fresh(raised).base.level).toBe(2);
    expect(() => knowing(1).fresh(raised)).toThrow(FatalError);
  });
});

test("a fold knows the level of its version, and begins there", () => {
  expect(new Fold().base).toEqual({ level: knownLevel, revision: 0n, revisionOffset: 0n });
  expect(() => new Fold({ ...base, level: knownLevel + 1 })).toThrow(/upgrade this server/);
});
