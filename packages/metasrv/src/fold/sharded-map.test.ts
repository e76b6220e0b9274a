import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { ShardedMap } from "./sharded-map.js";

const steps = fc.array(
  fc.tuple(fc.constantFrom("set", "delete"), fc.oneof(fc.nat({ max: 9 }).map(String), fc.string()), fc.nat()),
);

test("is a map, whatever keys come and go", () => {
  fc.assert(
    fc.property(steps, (steps) => {
      const map = new ShardedMap<string, number>((key) => key.charCodeAt(key.length - 1));
      const model = new Map<string, number>();
      for (const [step, key, value] of steps) {
        if (step === "set") {
          map.set(key, value);
          model.set(key, value);
        } else {
          map.delete(key);
          model.delete(key);
        }
        expect(map.get(key)).toBe(model.get(key));
        expect(map.has(key)).toBe(model.has(key));
        expect(map.size).toBe(model.size);
      }
      const inOrder = (values: Iterable<number>) => [...values].sort((a, b) => a - b);
      expect(inOrder(map.values())).toEqual(inOrder(model.values()));
    }),
  );
});

test("goes through values that were there all the time once, while others come and go", () => {
  const map = new ShardedMap<string, number>((key) => key.charCodeAt(key.length - 1));
  for (let n = 0; n < 2_000; n++) {
    map.set(`key ${n}`, n);
  }
  const seen: number[] = [];
  for (const value of map.values()) {
    seen.push(value);
    map.set(`later ${value}`, -1);
    if (value % 2 === 0) {
      map.delete(`key ${value}`);
      map.delete(`later ${value}`);
    }
  }
  const whole = seen.filter((value) => value >= 0).sort((a, b) => a - b);
  expect(whole).toEqual(Array.from({ length: 2_000 }, (_, n) => n));
});
