import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { idOf, nameOf } from "../../test-support/told.js";
import { exclusive } from "../model/ticket-content.js";
import { type LockName, lockNameBytes, lockNameOf } from "../model/ticket-ref.js";
import { LockTable } from "./lock-table.js";
import { Ticket } from "./queue.js";

const content = { ttlMs: 10, owner: "", resumable: true, ...exclusive };
const names = fc.uint8Array({ minLength: 1, maxLength: 3, max: 3 }).map(lockNameOf);

function byBytes(all: Iterable<LockName>): LockName[] {
  return [...all].sort((a, b) => Buffer.compare(lockNameBytes(a), lockNameBytes(b)));
}

test("the names of a table are in the order of their bytes, however locks come and go while they are put in order", () => {
  const step = fc.oneof(
    fc.record({ come: names }),
    fc.record({ go: fc.nat() }),
    fc.record({ order: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ forget: fc.constant(true) }),
  );
  fc.assert(
    fc.property(fc.array(names, { maxLength: 30 }), fc.array(step, { maxLength: 60 }), (first, steps) => {
      const table = new LockTable();
      const tickets: Ticket[] = [];
      let token = 0;
      const come = (name: LockName) => {
        const ticket = new Ticket({ name, id: idOf(++token) }, BigInt(token), content, "m1", 0);
        table.add(ticket);
        tickets.push(ticket);
      };
      first.forEach(come);
      let order = table.names();
      for (const next of steps) {
        if ("come" in next) {
          come(next.come);
        } else if ("order" in next) {
          order.step(next.order);
        } else if ("forget" in next) {
          table.forgetNames();
          order = table.names();
        } else {
          const [gone] = tickets.splice(next.go % Math.max(1, tickets.length), 1);
          if (gone !== undefined) {
            table.remove(gone);
          }
        }
      }
      while (!order.isComplete) {
        order.step(3);
      }
      const expected = byBytes(new Set(tickets.map(({ name }) => name)));
      expect([...order.from("" as LockName)]).toEqual(expected);
      expect([...order.from(nameOf("\u0002"))]).toEqual(expected.filter((name) => name >= "\u0002"));
      expect(table.names()).toBe(order);
    }),
  );
});

test("names of locks that come and go by the thousands are in order while they are there", () => {
  const table = new LockTable();
  const order = table.names();
  order.step(1);
  const tickets = Array.from({ length: 3_500 }, (_, at) => {
    return new Ticket({ name: nameOf(`lock/${at}`), id: idOf(at) }, BigInt(at + 1), content, "m1", 0);
  });
  for (const [at, ticket] of tickets.entries()) {
    table.add(ticket);
    const before = tickets[at - 10];
    if (before !== undefined && at % 7 !== 0) {
      table.remove(before);
    }
  }
  const left = byBytes(tickets.filter(({ present }) => present).map(({ name }) => name));
  expect(left.length).toBeGreaterThan(500);
  expect([...order.from("" as LockName)]).toEqual(left);
});
