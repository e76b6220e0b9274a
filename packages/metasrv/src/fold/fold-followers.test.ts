import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { generatedLog, type Step } from "../../test-support/generated-log.js";
import { create, idOf, nameOf, release } from "../../test-support/told.js";
import type { Command } from "../model/command.js";
import type { TicketRef } from "../model/ticket-ref.js";
import { Fold } from "./fold.js";
import type { Ticket, TicketFollower } from "./queue.js";

const base = { level: 1, revision: 0n, revisionOffset: 0n };

/** Follows a ticket as a node does, and remembers what it was told. */
class Follower implements TicketFollower {
  ticket: Ticket;
  readonly told: string[] = [];

  constructor(ticket: Ticket) {
    this.ticket = ticket;
    ticket.follower = this;
  }

  granted(): void {
    this.told.push("granted");
  }

  removed(): void {
    this.told.push("removed");
  }

  moved(): void {
    this.told.push("moved");
  }

  replaced(ticket: Ticket): void {
    this.ticket = ticket;
    this.told.push("replaced");
  }
}

/** A fold, each of whose tickets is followed from the entry on that made it. */
class Followed {
  readonly fold = new Fold();
  readonly followers = new Map<bigint, Follower>();

  apply(...steps: readonly Step[]): void {
    for (const { logged } of steps) {
      this.fold.apply(logged, true);
      this.fold.tell();
      this.follow();
    }
  }

  follow(): void {
    for (const ticket of this.fold.tickets()) {
      if (!this.followers.has(ticket.token)) {
        this.followers.set(ticket.token, new Follower(ticket));
      }
    }
  }
}

function foldOf(steps: readonly Step[]): Fold {
  const fold = new Fold(base);
  steps.forEach(({ logged }) => fold.apply(logged, false));
  return fold;
}

/** A fold of one member `m1`, to which entries are given one at a time. */
function fold(...commands: readonly Command[]): { fold: Fold; apply: (...commands: readonly Command[]) => void } {
  const made = new Fold();
  let sequence = 0;
  const apply = (...more: readonly Command[]) => {
    const entry = { level: 1, settled: sequence, seen: undefined, commands: more };
    made.apply({ memberId: "m1", sequence: ++sequence, revision: BigInt(sequence), entry }, true);
  };
  apply(...commands);
  return { fold: made, apply };
}

function follow(of: Fold, n: number, lock = "a"): Follower {
  return new Follower(found(of, { name: nameOf(lock), id: idOf(n) }));
}

function found(of: Fold, ref: TicketRef): Ticket {
  const ticket = of.get(ref);
  if (ticket === undefined) {
    throw new Error("the ticket is not in the table");
  }
  return ticket;
}

describe("whoever follows a ticket", () => {
  test("is told once that it is granted, once that it is gone, and nothing after that", () => {
    fc.assert(
      fc.property(generatedLog, (log) => {
        const followed = new Followed();
        const held = new Map<bigint, boolean>();
        for (const step of log) {
          followed.apply(step);
          for (const { token, holds } of step.tickets) {
            held.set(token, held.get(token) ?? holds);
          }
          const now = new Map(step.tickets.map((ticket) => [ticket.token, ticket]));
          for (const [token, { told }] of followed.followers) {
            const ticket = now.get(token);
            expect(told.filter((word) => word === "removed")).toHaveLength(ticket === undefined ? 1 : 0);
            expect(told.slice(0, -1)).not.toContain("removed");
            const isNews = held.get(token) === false && ticket?.holds === true;
            expect(told.filter((word) => word === "granted").length).toBeGreaterThanOrEqual(isNews ? 1 : 0);
            expect(told.filter((word) => word === "granted").length).toBeLessThanOrEqual(
              held.get(token) === true ? 0 : 1,
            );
          }
        }
      }),
    );
  });

  test("is told whenever another member serves it, and by nothing else that it has moved", () => {
    fc.assert(
      fc.property(generatedLog, (log) => {
        const followed = new Followed();
        const members = new Map<bigint, string>();
        for (const step of log) {
          const before = new Map([...followed.followers].map(([token, { told }]) => [token, told.length]));
          followed.apply(step);
          for (const { token, memberId } of step.tickets) {
            const moves = followed.followers.get(token)?.told.slice(before.get(token)) ?? [];
            const member = members.get(token);
            // Within one entry all moves are to its writer.
            const expected = member !== undefined && member !== memberId ? ["moved"] : [];
            expect(moves.filter((word) => word === "moved")).toEqual(expected);
            members.set(token, memberId);
          }
        }
      }),
    );
  });

  test("hears nothing before it is to be told, and everything in the order in which it came", () => {
    const { fold: table, apply } = fold(create(1), create(2));
    const [first, second] = [follow(table, 1), follow(table, 2)];
    apply(release(1, 4096n), release(2, 4097n));
    expect([first.told, second.told]).toEqual([[], []]);
    table.tell();
    expect([first.told, second.told]).toEqual([["removed"], ["granted", "removed"]]);
    table.tell();
    expect([first.told, second.told]).toEqual([["removed"], ["granted", "removed"]]);
  });
});

describe("when the table is read anew", () => {
  test("followers follow the same tickets, and are told what has become of these meanwhile", () => {
    fc.assert(
      fc.property(generatedLog, fc.nat(), fc.nat(), (log, first, second) => {
        const missedFrom = first % (log.length + 1);
        const missedTo = missedFrom + (second % (log.length + 1 - missedFrom));
        const followed = new Followed();
        followed.apply(...log.slice(0, missedFrom));
        const before = new Map(
          [...followed.fold.tickets()].map(({ token, holds, memberId }) => [token, { holds, memberId }]),
        );
        followed.fold.become(foldOf(log.slice(0, missedTo)));
        followed.fold.tell();
        for (const [token, { holds, memberId }] of before) {
          const follower = followed.followers.get(token);
          const after = [...followed.fold.tickets()].find((ticket) => ticket.token === token);
          if (after === undefined) {
            expect(follower?.told.at(-1)).toBe("removed");
            expect(follower?.ticket.present).toBe(false);
            continue;
          }
          expect(follower?.ticket).toBe(after);
          expect(after.follower).toBe(follower);
          const news = follower?.told.slice(follower.told.lastIndexOf("replaced") + 1) ?? [];
          // A ticket that another member serves is no longer this node's to tell of.
          const isMoved = after.memberId !== memberId;
          expect(news).toEqual(isMoved ? ["moved"] : after.holds && !holds ? ["granted"] : []);
        }
        followed.follow();
        followed.apply(...log.slice(missedTo));
        for (const ticket of followed.fold.tickets()) {
          expect(followed.followers.get(ticket.token)?.ticket).toBe(ticket);
        }
        for (const { ticket, told } of followed.followers.values()) {
          expect(told.includes("removed")).toBe(followed.fold.get(ticket) !== ticket);
        }
      }),
    );
  });

  test("a ticket of the same name and id that was created since is another one, and not followed", () => {
    const { fold: table } = fold(create(1));
    const follower = follow(table, 1);
    const { fold: later } = fold(create(1), release(1, 4096n), create(1));
    table.become(later);
    table.tell();
    expect(follower.told).toEqual(["removed"]);
    expect(found(table, { name: nameOf("a"), id: idOf(1) }).follower).toBeUndefined();
  });
});

describe("a ticket that was granted in another store", () => {
  test("is outdated from when the store is replaced, if it is below what was seen, and stays so", () => {
    const { fold: table } = fold(create(1), create(2));
    const seen = table.nextToken;
    expect(table.isOutdated(0n)).toBe(false);
    table.become(table.fresh(base), true);
    expect([table.isOutdated(seen - 1n), table.isOutdated(seen)]).toEqual([true, false]);
    // A second replacement, by a store that is younger still, forgets nothing of the first.
    table.become(table.fresh(base), true);
    expect([table.isOutdated(seen - 1n), table.isOutdated(seen)]).toEqual([true, false]);
  });

  test("is not outdated where the same store was only read anew", () => {
    const { fold: table } = fold(create(1));
    const { nextToken } = table;
    table.become(table.fresh(base));
    expect(table.isOutdated(nextToken - 1n)).toBe(false);
  });
});
