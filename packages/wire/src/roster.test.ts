import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { NumberTable, Roster } from "./roster.js";

test("a roster holds what was added and not deleted", () => {
  const roster = new Roster<{ name: string; rosterPlace: number }>();
  const [a, b, c] = ["a", "b", "c"].map((name) => ({ name, rosterPlace: 0 }));
  if (a === undefined || b === undefined || c === undefined) {
    throw new Error("three were made");
  }
  roster.add(a);
  roster.delete(b);
  roster.add(b);
  roster.add(c);
  roster.delete(a);
  roster.delete(a);
  expect(new Set(roster.all())).toEqual(new Set([b, c]));
  roster.delete(c);
  roster.delete(b);
  expect(roster.size).toBe(0);
});

describe("NumberTable", () => {
  test("gives out rising numbers, and keeps what is set under them", () => {
    const table = new NumberTable<string>();
    const numbers = ["a", "b", "c"].map((value) => {
      const number = table.next();
      table.set(number, value);
      return number;
    });
    expect(numbers).toEqual([1, 2, 3]);
    table.delete(2);
    expect(table.entries()).toEqual([
      [1, "a"],
      [3, "c"],
    ]);
    expect(table.get(2)).toBeUndefined();
    expect(table.next()).toBe(4);
  });

  test("begins again at 1, and passes over what is in use", () => {
    const table = new NumberTable<string>(2 ** 32 - 3);
    const numbers = Array.from({ length: 4 }, () => {
      const number = table.next();
      table.set(number, `value ${number}`);
      return number;
    });
    expect(numbers).toEqual([2 ** 32 - 2, 2 ** 32 - 1, 1, 2]);
    const again = new NumberTable<string>(2 ** 32 - 1);
    again.set(again.next(), "long held");
    let number = again.next();
    while (number < 1_000) {
      number = again.next();
    }
    expect(again.get(1)).toBe("long held");
  });

  test("does not mistake one number for another", () => {
    const table = new NumberTable<string>();
    table.set(table.next(), "one");
    expect(table.get(1 + 2 ** 10)).toBeUndefined();
    table.delete(1 + 2 ** 10);
    expect(table.get(1)).toBe("one");
  });

  test("behaves as a Map", () => {
    const step = fc.oneof({ weight: 3, arbitrary: fc.constant("add" as const) }, { weight: 2, arbitrary: fc.nat() });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 1_000, size: "max" }),
        fc.constantFrom(0, 2 ** 32 - 100),
        (steps, last) => {
          const table = new NumberTable<number>(last);
          const map = new Map<number, number>();
          for (const [index, each] of steps.entries()) {
            if (each === "add") {
              const number = table.next();
              expect(map.has(number)).toBe(false);
              table.set(number, index);
              map.set(number, index);
            } else {
              const number = [...map.keys()][each % Math.max(map.size, 1)] ?? each + 1;
              table.delete(number);
              map.delete(number);
            }
          }
          expect(new Map(table.entries())).toEqual(map);
          for (const [number, value] of map) {
            expect(table.get(number)).toBe(value);
          }
        },
      ),
      { numRuns: 30 },
    );
  });
});
