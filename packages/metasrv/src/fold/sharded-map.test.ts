import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { id, lock } from "../../test-support/node-fixture.js";
import type { TicketRef } from "../model/ticket-ref.js";
import { ShardedMap, TicketMap, ticketRefKey } from "./sharded-map.js";

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

interface Entry extends TicketRef {
  readonly value: number;
}

const ticket = fc
  .tuple(fc.constantFrom("a", "b", "c"), fc.constantFrom(1, 2))
  .map(([name, n]) => ({ name: lock(name), id: id(n) }));
const ticketSteps = fc.array(fc.tuple(fc.constantFrom("set", "delete"), ticket, fc.nat()));

test("is a map of tickets, whatever ids and names they share", () => {
  fc.assert(
    fc.property(ticketSteps, (steps) => {
      const map = new TicketMap<Entry>();
      const model = new Map<string, Entry>();
      for (const [step, ref, value] of steps) {
        if (step === "set") {
          map.set({ ...ref, value });
          model.set(ticketRefKey(ref), { ...ref, value });
        } else {
          map.delete(ref);
          model.delete(ticketRefKey(ref));
        }
        expect(map.get(ref)).toEqual(model.get(ticketRefKey(ref)));
        expect(map.size).toBe(model.size);
        const byKey = (entries: Iterable<Entry>) => new Map([...entries].map((entry) => [ticketRefKey(entry), entry]));
        expect(byKey(map.values())).toEqual(model);
      }
    }),
  );
});

test("takes many entries at once, whatever ids they share", () => {
  const unique = fc.uniqueArray(ticket, { selector: ticketRefKey });
  fc.assert(
    fc.property(unique, (refs) => {
      const entries = refs.map((ref, value) => ({ ...ref, value }));
      const map = new TicketMap<Entry>();
      map.addAll(entries);
      expect(map.size).toBe(entries.length);
      expect(entries.map((entry) => map.get(entry))).toEqual(entries);
    }),
  );
});
