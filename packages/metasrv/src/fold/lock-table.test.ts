import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { idOf, nameOf } from "../../test-support/told.js";
import { exclusive } from "../model/ticket-content.js";
import type { LockName } from "../model/ticket-ref.js";
import { LockTable } from "./lock-table.js";
import { Ticket } from "./queue.js";

const locks = ["a", "b", "c"].map(nameOf);

/** A ticket comes to a lock, or one of those that are there goes. */
const steps = fc.array(
  fc.oneof(
    fc.record({ lock: fc.nat({ max: 2 }), id: fc.nat({ max: 3 }) }),
    fc.record({ remove: fc.nat(), peek: fc.boolean() }),
  ),
  { maxLength: 60 },
);

function ticket(token: number, lock = "a", id = token, share = exclusive): Ticket {
  const content = { ttlMs: 10, owner: `owner ${token}`, resumable: true, ...share };
  return new Ticket({ name: nameOf(lock), id: idOf(id) }, BigInt(token), content, "m1", 0);
}

function shown(table: LockTable, name: LockName) {
  const queue = table.queue(name);
  return queue && { head: queue.head, size: queue.size, holders: queue.holders };
}

describe("a table", () => {
  test("lets the first ticket of every queue hold, and gives the next its turn, as a list of tickets would", () => {
    fc.assert(
      fc.property(steps, (all) => {
        const table = new LockTable();
        let model: Ticket[] = [];
        let token = 0;
        for (const step of all) {
          if ("lock" in step) {
            const made = ticket(++token, "abc"[step.lock], step.id);
            if (table.get(made) === undefined) {
              table.add(made);
              model.push(made);
            }
          } else {
            const gone = model[step.remove % Math.max(1, model.length)];
            if (gone === undefined) {
              continue;
            }
            model = model.filter((other) => other !== gone);
            const next = model.find(({ name }) => name === gone.name);
            const heir = gone.holds && next !== undefined ? [next] : [];
            expect(table.remove(gone)).toEqual(heir);
            expect(gone).toMatchObject({ present: false, previous: undefined, next: undefined });
          }
          expect(new Set(table.tickets())).toEqual(new Set(model));
          expect(table.size).toBe(model.length);
          for (const name of locks) {
            const queue = model.filter((other) => other.name === name);
            expect(queue.map(({ holds }) => holds)).toEqual(queue.map((_, place) => place === 0));
            expect(queue.map((other) => table.get(other) === other)).toEqual(queue.map(() => true));
            expect(shown(table, name)).toEqual(
              queue.length === 0 ? undefined : { head: queue[0], size: queue.length, holders: 1 },
            );
          }
        }
      }),
    );
  });

  test("can be walked while tickets come and go: those that stay are met once", () => {
    fc.assert(
      fc.property(steps, (all) => {
        const table = new LockTable();
        const added = Array.from({ length: 20 }, (_, n) => ticket(n + 1, "abc"[n % 3], n % 4));
        const first = added.filter((made) => {
          const isNew = table.get(made) === undefined;
          if (isNew) {
            table.add(made);
          }
          return isNew;
        });
        const met: Ticket[] = [];
        let token = 100;
        const walk = table.tickets();
        for (const step of all) {
          if ("lock" in step) {
            const made = ticket(++token, "abc"[step.lock], 10 + token);
            table.add(made);
          } else if (step.peek) {
            const { value } = walk.next() as IteratorResult<Ticket, undefined>;
            met.push(...(value === undefined ? [] : [value]));
          } else {
            const gone = first[step.remove % first.length];
            if (gone?.present === true) {
              table.remove(gone);
            }
          }
        }
        met.push(...walk);
        expect(new Set(met).size).toBe(met.length);
        expect(met).toEqual(expect.arrayContaining(first.filter(({ present }) => present)));
      }),
    );
  });

  test("takes the tickets of a snapshot in any order, and has the same queues as if each had come in its turn", () => {
    const queues = Array.from({ length: 12 }, (_, n) => n + 1);
    fc.assert(
      fc.property(fc.shuffledSubarray(queues), (tokens) => {
        const loaded = new LockTable();
        loaded.addAll(tokens.map((token) => ticket(token, "abc"[token % 3])));
        const grown = new LockTable();
        for (const token of [...tokens].sort((a, b) => a - b)) {
          grown.add(ticket(token, "abc"[token % 3]));
        }
        const seen = (table: LockTable) =>
          [...table.tickets()]
            .sort((a, b) => Number(a.token - b.token))
            .map(({ token, holds, previous, next }) => [token, holds, previous?.token, next?.token]);
        expect(seen(loaded)).toEqual(seen(grown));
        expect(locks.map((name) => shown(loaded, name)?.head?.token)).toEqual(
          locks.map((name) => shown(grown, name)?.head?.token),
        );
      }),
    );
  });

  test("gives nobody a turn when a waiter goes, wherever in the queue it was", () => {
    for (const leaves of [1, 2, 3]) {
      const table = new LockTable();
      const queue = [1, 2, 3, 4].map((token) => ticket(token));
      queue.forEach((made) => {
        table.add(made);
      });
      const [gone] = queue.splice(leaves, 1);
      expect(gone === undefined ? undefined : table.remove(gone)).toEqual([]);
      for (const holder of queue) {
        expect(shown(table, holder.name)?.head).toBe(holder);
        table.remove(holder);
      }
      expect(table.size).toBe(0);
    }
  });

  test("keeps the smallest of very many limits, as those who hold them go one by one", () => {
    const table = new LockTable();
    const holders = 150_000;
    const tickets = Array.from({ length: holders }, (_, at) => {
      return ticket(at + 1, "a", at + 1, { permits: 1, limit: holders + at });
    });
    tickets.forEach((each) => {
      table.add(each);
    });
    for (const [at, each] of tickets.entries()) {
      if (at % 10_000 === 0) {
        expect(table.queue(nameOf("a"))).toMatchObject({ limit: holders + at, holders: holders - at });
      }
      table.remove(each);
    }
    expect(table.queue(nameOf("a"))).toBeUndefined();
  });

  test("refuses to remove a ticket twice, or one that it never had, and stays as it was", () => {
    const table = new LockTable();
    const [first, second] = [ticket(1), ticket(2)];
    table.add(first);
    table.add(second);
    table.remove(first);
    expect(() => table.remove(first)).toThrow("a ticket that is not in the table cannot be removed");
    expect(() => table.remove(ticket(3, "b"))).toThrow("a ticket that is not in the table cannot be removed");
    expect(second.holds).toBe(true);
    expect(shown(table, second.name)).toEqual({ head: second, size: 1, holders: 1 });
  });
});
