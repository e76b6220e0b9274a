import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { ModelStore } from "../../test-support/model-store.js";
import { type Flaw, NaiveTable } from "../../test-support/naive-table.js";
import { expectSame, type Table, TableChecker } from "../../test-support/table-checker.js";
import type { LogEvent, StoredTicket, Ticket, TicketId } from "../log/ticket-log.js";
import { escapeLockName } from "./lock-name.js";
import { LockTable, type LockTableObserver, type TableTicket } from "./lock-table.js";

const [a, b] = [escapeLockName(Buffer.from("a")), escapeLockName(Buffer.from("b"))];
const names = [a, b];
const ids = [1, 2, 3, 4].map((n) => n.toString(16).padStart(32, "0") as TicketId);
const members = ["m1", "m2"];

/**
 * Something happens to one ticket, or the table is fed: with the changes since it was fed last, in one batch (`deliver`);
 * with nothing new, listed (`relist`); or, those changes lost, with a listing (`gap`).
 */
type Step = readonly [
  "create" | "update" | "delete" | "deliver" | "relist" | "gap",
  (typeof names)[number],
  TicketId,
  memberId: string,
];

const step: fc.Arbitrary<Step> = fc.tuple(
  fc.oneof(
    { weight: 4, arbitrary: fc.constant("create" as const) },
    { weight: 2, arbitrary: fc.constant("update" as const) },
    { weight: 3, arbitrary: fc.constant("delete" as const) },
    { weight: 3, arbitrary: fc.constant("deliver" as const) },
    { weight: 1, arbitrary: fc.constantFrom("relist" as const, "gap" as const) },
  ),
  fc.constantFrom(...names),
  fc.constantFrom(...ids),
  fc.constantFrom(...members),
);
const schedule = fc.array(step, { maxLength: 40, size: "max" });

/** Runs one schedule on a table that is listed to, and on one that gets every event; throws where one is wrong. */
function run(steps: readonly Step[], create: (observer: LockTableObserver) => Table): void {
  const model = new ModelStore();
  const subject = new TableChecker(model, create);
  const plain = new TableChecker(model, create);
  let events: LogEvent[] = [];
  const feed = (kind: "deliver" | "relist" | "gap") => {
    plain.apply(events, names);
    if (kind === "gap") {
      subject.relist(names);
    } else {
      subject.apply(events, names);
    }
    if (kind === "relist") {
      subject.relistInVain(names);
    }
    events = [];
    expectSame("grants of a table that was listed to", subject.grants, plain.grants);
  };
  for (const [kind, name, id, memberId] of steps) {
    const ticket: Ticket = { mode: "exclusive", ttlMs: 10_000, owner: "", memberId, resumable: false, attempt: 0 };
    const { createRevision, modRevision } = model.get(name, id) ?? { createRevision: 0n, modRevision: 0n };
    switch (kind) {
      case "create":
        events.push(...model.execute({ kind, name, id, ticket, onlyIfFree: false }).events);
        break;
      case "update":
        events.push(...model.execute({ kind, name, id, ticket, createRevision, modRevision }).events);
        break;
      case "delete":
        events.push(...model.execute({ kind, name, id, condition: { modRevision } }).events);
        break;
      default:
        feed(kind);
    }
  }
  feed("deliver");
}

/** The seed is fixed, so that a run says the same as the one before; `FAST_CHECK_SEED` tries others. */
const parameters = { numRuns: 12_000, seed: Number(process.env.FAST_CHECK_SEED ?? 20) };

function check(create: (observer: LockTableObserver) => Table) {
  const property = fc.property(schedule, (steps) => {
    run(steps, create);
  });
  return fc.check(property, { ...parameters, numRuns: 2_000 });
}

describe("under generated schedules", () => {
  test("concludes what the model says, and the same whether it is fed with events or listings", () => {
    fc.assert(
      fc.property(schedule, (steps) => {
        run(steps, (observer) => new LockTable(observer));
      }),
      parameters,
    );
  });

  test("the check passes a plain table without a flaw", () => {
    expect(check((observer) => new NaiveTable(observer)).failed).toBe(false);
  });

  const flaws: readonly (readonly [Flaw, RegExp])[] = [
    ["orders by id", /^I2: |^I3: |^queue of/],
    ["grants to the second", /^I2: /],
    ["grants again after a listing", /^I3: |granted before|conclusions of a listing/],
    ["overlooks removals in a listing", /^I1: |^I2: |removed: expected true/],
    ["takes a ticket created again for the old one", /./],
    ["concludes on every single change", /while settling/],
  ];
  test.each(flaws)("the check catches a table that %s", (flaw, complaint) => {
    const { failed, errorInstance } = check((observer) => new NaiveTable(observer, flaw));
    expect(failed).toBe(true);
    expect(errorInstance).toBeInstanceOf(Error);
    expect((errorInstance as Error).message).toMatch(complaint);
  });
});

/** What a table tells, in short. */
function recorded(): { table: LockTable; told: string[] } {
  const told: string[] = [];
  const tell = (what: string) => (ticket: TableTicket) => {
    told.push(`${what} ${ticket.name}${ids.indexOf(ticket.id) + 1}@${ticket.createRevision.toString()}`);
  };
  return { table: new LockTable({ put: tell("put"), granted: tell("granted"), removed: tell("removed") }), told };
}

function stored(n: number, createRevision: bigint, modRevision = createRevision): StoredTicket {
  const ticket: Ticket = { mode: "exclusive", ttlMs: 10_000, owner: "", memberId: "m1", resumable: false, attempt: 0 };
  return { name: a, id: ids[n - 1] ?? ("" as TicketId), ticket, createRevision, modRevision };
}

describe("by example", () => {
  test("grants to the oldest, and to the next once that is gone", () => {
    const { table, told } = recorded();
    table.put(stored(2, 5n));
    table.put(stored(1, 6n));
    table.settle();
    table.delete(a, stored(2, 5n).id);
    table.settle();
    expect(told).toEqual(["put a2@5", "put a1@6", "granted a2@5", "removed a2@5", "granted a1@6"]);
  });

  test("a ticket that came and went within a batch is never granted", () => {
    const { table, told } = recorded();
    table.put(stored(1, 5n));
    table.delete(a, stored(1, 5n).id);
    table.put(stored(2, 7n));
    table.settle();
    expect(told).toEqual(["put a1@5", "removed a1@5", "put a2@7", "granted a2@7"]);
  });

  test("a ticket with the id of one that is gone is another ticket, behind those that came before it", () => {
    const { table, told } = recorded();
    table.put(stored(1, 5n));
    table.put(stored(2, 6n));
    table.settle();
    told.length = 0;
    table.reset([stored(1, 9n), stored(2, 6n)]);
    table.settle();
    expect(told).toEqual(["removed a1@5", "put a1@9", "granted a2@6"]);
  });

  test("a listing of a restored store can bring back tickets older than those known; they come first", () => {
    const { table } = recorded();
    table.put(stored(1, 5n));
    table.put(stored(2, 6n));
    table.put(stored(3, 7n));
    table.settle();
    table.delete(a, stored(2, 6n).id);
    table.settle();
    table.reset([stored(1, 5n), stored(2, 6n), stored(3, 7n)]);
    table.settle();
    expect([...table.tickets()].map(({ createRevision }) => createRevision)).toEqual([5n, 6n, 7n]);
  });

  test("forgets locks without tickets", () => {
    const { table } = recorded();
    table.put(stored(1, 5n));
    table.settle();
    table.delete(a, stored(1, 5n).id);
    table.settle();
    expect([table.size, [...table.tickets()], table.first(a), table.waiters(a)]).toEqual([0, [], undefined, 0]);
  });

  test("nothing comes of removing what is not there", () => {
    const { table, told } = recorded();
    table.delete(b, stored(1, 5n).id);
    table.settle();
    expect(told).toEqual([]);
  });
});
