import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { id, lock } from "../../test-support/node-fixture.js";
import type { TicketRef } from "../model/ticket-ref.js";
import { TicketMap, ticketRefKey } from "./ticket-map.js";

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
