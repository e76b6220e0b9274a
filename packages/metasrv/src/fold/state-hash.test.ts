import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { exclusive, shared } from "../model/ticket-content.js";
import { lockNameOf, ticketIdFrom } from "../model/ticket-ref.js";
import { Ticket } from "./queue.js";
import { TableHash } from "./state-hash.js";

const text = fc.constantFrom<string>("", "a", "b", "ab", "ba", "aa");

const fields = fc.record({
  name: fc.uint8Array({ minLength: 1, maxLength: 3, max: 2 }).map(lockNameOf),
  id: fc.uint8Array({ minLength: 16, maxLength: 16, max: 2 }).map(ticketIdFrom),
  token: fc.bigInt({ min: 1n, max: 5n }),
  content: fc.record({
    ttlMs: fc.integer({ min: 0, max: 3 }),
    owner: text,
    resumable: fc.boolean(),
    permits: fc.integer({ min: 1, max: 1 }),
    limit: fc.integer({ min: 1, max: 3 }),
  }),
  memberId: text,
  attempt: fc.nat({ max: 3 }),
  holds: fc.boolean(),
});
type Fields = typeof fields extends fc.Arbitrary<infer T> ? T : never;

function ticketOf({ token, content, memberId, attempt, holds, ...ref }: Fields): Ticket {
  const ticket = new Ticket(ref, token, content, memberId, attempt);
  ticket.admitted = holds;
  return ticket;
}

function hashOf(all: readonly Fields[]): { readonly low: number; readonly high: number } {
  const hash = new TableHash();
  for (const one of all) {
    hash.add(ticketOf(one));
  }
  return { low: hash.low, high: hash.high };
}

function counted({ token, ...rest }: Fields): string {
  return JSON.stringify([rest, token.toString()]);
}

describe("the hash of a table", () => {
  test("does not depend on the order in which tickets came", () => {
    fc.assert(
      fc.property(fc.array(fields), fc.array(fc.nat()), (all, keys) => {
        const shuffled = all
          .map((one, index) => ({ one, key: keys[index] ?? 0 }))
          .sort((a, b) => a.key - b.key)
          .map(({ one }) => one);
        expect(hashOf(shuffled)).toEqual(hashOf(all));
        expect(hashOf([...all].reverse())).toEqual(hashOf(all));
      }),
    );
  });

  test("is the one of what is left, whatever came, was changed, was granted and went before", () => {
    fc.assert(
      fc.property(fc.array(fields), fc.array(fields), fc.array(fields), (stay, go, change) => {
        const hash = new TableHash();
        const leaving = go.map(ticketOf);
        [...stay.map(ticketOf), ...leaving].forEach((ticket) => {
          hash.add(ticket);
        });
        // A change of what may change, there and back.
        change.forEach((to, index) => {
          const ticket = leaving[index];
          if (ticket !== undefined) {
            hash.subtract(ticket);
            ticket.content = to.content;
            ticket.memberId = to.memberId;
            ticket.attempt = to.attempt;
            hash.add(ticket);
          }
        });
        for (const ticket of leaving) {
          if (!ticket.holds) {
            ticket.admitted = true;
            hash.granted(ticket);
          }
          hash.subtract(ticket);
        }
        expect({ low: hash.low, high: hash.high }).toEqual(hashOf(stay));
      }),
    );
  });

  test("is another for every other ticket, though its fields are those of the first with two of them swapped", () => {
    fc.assert(
      fc.property(fields, fields, (one, other) => {
        const same = counted(one) === counted(other);
        if (same) {
          expect(hashOf([one])).toEqual(hashOf([other]));
        } else {
          expect(hashOf([one])).not.toEqual(hashOf([other]));
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test("is another when two tickets swap one of their fields", () => {
    fc.assert(
      fc.property(
        fields,
        fields,
        fc.constantFrom<keyof Fields>("name", "id", "token", "content", "memberId", "attempt", "holds"),
        (one, other, field) => {
          const swapped = [
            { ...one, [field]: other[field] },
            { ...other, [field]: one[field] },
          ];
          const same = sorted([one, other]) === sorted(swapped);
          // Which of two tickets holds is told by their tokens alone.
          fc.pre(same || !(field === "holds" && one.token === other.token));
          if (same) {
            expect(hashOf(swapped)).toEqual(hashOf([one, other]));
          } else {
            expect(hashOf(swapped)).not.toEqual(hashOf([one, other]));
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test("has another low and another high part for every change of one field", () => {
    const one: Fields = {
      name: lockNameOf(Buffer.from("a")),
      id: ticketIdFrom(Buffer.alloc(16)),
      token: 7n,
      content: { ttlMs: 10, owner: "ab", resumable: false, ...exclusive },
      memberId: "m1",
      attempt: 1,
      holds: false,
    };
    const { low, high } = hashOf([one]);
    const changes: Partial<Fields>[] = [
      { name: lockNameOf(Buffer.from("b")) },
      { id: ticketIdFrom(Buffer.alloc(16, 1)) },
      { token: 8n },
      { content: { ...one.content, ttlMs: 11 } },
      { content: { ...one.content, resumable: true } },
      { content: { ...one.content, owner: "abc" } },
      { content: { ...one.content, owner: "ba" } },
      { content: { ...one.content, ...shared } },
      { content: { ...one.content, limit: 2 } },
      { memberId: "m2" },
      { attempt: 2 },
      { holds: true },
    ];
    for (const change of changes) {
      const other = hashOf([{ ...one, ...change }]);
      expect(other.low).not.toBe(low);
      expect(other.high).not.toBe(high);
    }
  });
});

describe("the hash of a table at an earlier revision", () => {
  test("is remembered after every entry, for a thousand entries", () => {
    const hash = new TableHash();
    const marks: { readonly revision: bigint; readonly low: number; readonly high: number }[] = [];
    for (let entry = 1; entry <= 1_500; entry++) {
      hash.add(ticketOf({ ...first, token: BigInt(entry) }));
      const revision = BigInt(entry * 2);
      hash.mark(revision);
      marks.push({ revision, low: hash.low, high: hash.high });
    }
    for (const [index, mark] of marks.entries()) {
      const isKept = index >= 1_500 - 1_024;
      expect(hash.differs(mark)).toBe(false);
      // Between two entries nothing changes.
      expect(hash.differs({ ...mark, revision: mark.revision + 1n })).toBe(false);
      expect(hash.differs({ ...mark, low: mark.low ^ 1 })).toBe(isKept);
      expect(hash.differs({ ...mark, high: (mark.high ^ 0x8000_0000) >>> 0 })).toBe(isKept);
    }
  });

  test("that was never marked differs from nothing", () => {
    expect(new TableHash().differs({ revision: 1n, low: 1, high: 1 })).toBe(false);
  });
});

const first: Fields = {
  name: lockNameOf(Buffer.from("a")),
  id: ticketIdFrom(Buffer.alloc(16)),
  token: 1n,
  content: { ttlMs: 10, owner: "", resumable: false, ...exclusive },
  memberId: "m1",
  attempt: 0,
  holds: false,
};

function sorted(all: readonly Fields[]): string {
  return all.map(counted).sort().join();
}
