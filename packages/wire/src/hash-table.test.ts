import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { HashTable } from "./hash-table.js";

const steps = fc.array(
  fc.tuple(
    fc.constantFrom("set", "set", "set", "delete", "clear"),
    fc.oneof(fc.nat({ max: 40 }).map(String), fc.string()),
    fc.nat(),
  ),
  { maxLength: 200 },
);

/** By the last character, and all in one chain. */
const hashes: ((key: string) => number)[] = [(key) => key.charCodeAt(key.length - 1), () => -1];

describe.each([1, 8])("a hash table of %d parts", (parts) => {
  test("is a map, whatever keys come and go", () => {
    fc.assert(
      fc.property(steps, fc.constantFrom(...hashes), (steps, hashOf) => {
        const table = new HashTable<string, number>(hashOf, parts);
        const model = new Map<string, number>();
        for (const [step, key, value] of steps) {
          if (step === "set") {
            table.set(key, value);
            model.set(key, value);
          } else if (step === "delete") {
            expect(table.delete(key)).toBe(model.delete(key));
          } else if (value % 10 === 0) {
            table.clear();
            model.clear();
          }
          expect(table.get(key)).toBe(model.get(key));
          expect(table.has(key)).toBe(model.has(key));
          expect(table.size).toBe(model.size);
        }
        const inOrder = (values: Iterable<number>) => [...values].sort((a, b) => a - b);
        expect(inOrder(table.values())).toEqual(inOrder(model.values()));
      }),
    );
  });

  test("goes through values that were there all the time once, while others come and go", () => {
    const table = new HashTable<string, number>((key) => key.charCodeAt(key.length - 1), parts);
    for (let n = 0; n < 2_000; n++) {
      table.set(`key ${n}`, n);
    }
    const seen: number[] = [];
    for (const value of table.values()) {
      seen.push(value);
      table.set(`later ${value}`, -1);
      if (value % 2 === 0) {
        table.delete(`key ${value}`);
        table.delete(`later ${value}`);
      }
    }
    const whole = seen.filter((value) => value >= 0).sort((a, b) => a - b);
    expect(whole).toEqual(Array.from({ length: 2_000 }, (_, n) => n));
  });

  test("leaves out what was deleted before its turn", () => {
    const table = new HashTable<number, number>((key) => key, parts);
    for (let n = 0; n < 100; n++) {
      table.set(n, n);
    }
    const seen: number[] = [];
    for (const value of table.values()) {
      seen.push(value);
      for (let n = 0; n < 100; n++) {
        table.delete(n);
      }
    }
    expect(seen).toHaveLength(1);
  });

  test("has items by their parts", () => {
    const table = new HashTable<number, number>((key) => key, parts);
    const items = Array.from({ length: 20 }, (_, n) => n);
    const inParts = table.inParts(items, (item) => item);
    expect(inParts).toHaveLength(parts);
    inParts.forEach((part, index) => {
      expect(part).toEqual(items.filter((item) => item % parts === index));
    });
  });
});
