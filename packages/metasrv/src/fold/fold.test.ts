import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { generatedLog, type Step } from "../../test-support/generated-log.js";
import { PlainTable, ticketsOf } from "../../test-support/plain-table.js";
import { create, idOf, nameOf, release } from "../../test-support/told.js";
import type { Command, LoggedEntry } from "../model/command.js";
import { exclusive, shared } from "../model/ticket-content.js";
import type { LockName } from "../model/ticket-ref.js";
import { Fold } from "./fold.js";

/** The log as a fold has taken it in. */
function folded(log: readonly Step[]): Fold {
  const fold = new Fold();
  for (const { logged } of log) {
    fold.apply(logged, false);
  }
  return fold;
}

function entry(sequence: number, commands: readonly Command[], { memberId = "m1", settled = 0 } = {}): LoggedEntry {
  return { memberId, sequence, revision: BigInt(sequence), entry: { level: 1, settled, seen: undefined, commands } };
}

describe("the fold of a log", () => {
  test("has the tickets and gives the outcomes that the rules say, after every entry", () => {
    fc.assert(
      fc.property(generatedLog, (log) => {
        const fold = new Fold();
        for (const { logged, outcomes, tickets } of log) {
          expect(fold.apply(logged, true)).toEqual(outcomes);
          expect(ticketsOf(fold)).toEqual(tickets);
          expect(fold.size).toBe(tickets.length);
          expect(fold.base.revision).toBe(logged.revision);
        }
      }),
    );
  });

  test("lets the longest-waiting tickets of every lock hold, and says so of each lock", () => {
    fc.assert(
      fc.property(generatedLog, (log) => {
        const fold = new Fold();
        for (const { logged, queues } of log) {
          fold.apply(logged, true);
          for (const [name, queue] of queues) {
            const shown = [...fold.queue(name)];
            expect(shown.map(({ token, admitted }) => ({ token, admitted }))).toEqual(
              queue.map(({ token, admitted }) => ({ token, admitted })),
            );
            const admitted = shown.filter((ticket) => ticket.admitted);
            expect(shown.slice(0, admitted.length)).toEqual(admitted);
            expect(admitted.length > 0).toBe(queue.length > 0);
            expect(fold.admits(name, exclusive)).toBe(queue.length === 0);
            expect(fold.waiters(name)).toBe(queue.length - admitted.length);
            const permitsHeld = queue.slice(0, admitted.length).reduce((sum, { permits }) => sum + permits, 0);
            const limit = queue.length === 0 ? 0 : Math.min(...admitted.map(({ content }) => content.limit));
            expect(fold.state(name)).toEqual({
              holderOwner: shown[0]?.main.content.owner ?? "",
              holderToken: queue[0]?.token ?? 0n,
              waiters: fold.waiters(name),
              holders: admitted.slice(0, 8).map(({ content, token, main, holds }) => {
                const { permits } = content;
                return { owner: main.content.owner, token, permits, heldMs: 0, reserves: !holds };
              }),
              holderCount: admitted.length,
              permitsHeld,
              limit,
              position: 0,
            });
            expect(fold.sharing(name)).toEqual({ floor: queue[0]?.token ?? 0n, limit });
            for (const share of [exclusive, shared, { permits: 2, limit: 3 }, { permits: 1, limit: 5 }]) {
              const left = Math.min(share.limit, limit === 0 ? Infinity : limit) - permitsHeld;
              const room = queue.length > admitted.length ? 0 : Math.max(0, Math.floor(left / share.permits));
              expect(fold.room(name, share)).toBe(room);
              expect(fold.admits(name, share)).toBe(room > 0);
            }
            shown.slice(admitted.length).forEach((ticket, place) => {
              expect(fold.state(name, ticket).position).toBe(place + 1);
            });
          }
        }
      }),
    );
  });

  test("never turns a ticket that holds into one that waits, nor lets one overtake another", () => {
    fc.assert(
      fc.property(generatedLog, (log) => {
        const fold = new Fold();
        for (const { logged } of log) {
          const before = ticketsOf(fold);
          fold.apply(logged, true);
          const after = new Map(ticketsOf(fold).map((ticket) => [ticket.token, ticket]));
          for (const ticket of before.filter(({ holds, token }) => holds && after.has(token))) {
            expect(after.get(ticket.token)).toMatchObject({ name: ticket.name, id: ticket.id, holds: true });
          }
        }
      }),
    );
  });

  test("gives tokens and floors by which a resource takes all that hold write, and nothing of who was shut out since", () => {
    fc.assert(
      fc.property(generatedLog, fc.array(fc.nat(), { minLength: 25, maxLength: 25 }), (log, picks) => {
        const fold = new Fold();
        // What each grant was told of each lock, and what each resource has stored.
        const grants = new Map<string, { readonly token: bigint; readonly floor: bigint; readonly name: LockName }>();
        const stored = new Map<LockName, bigint>();
        const alone = new Map<LockName, bigint>();
        const write = (name: LockName, token: bigint, floor: bigint): boolean => {
          const known = stored.get(name) ?? 0n;
          if (token >= known) {
            stored.set(name, floor > known ? floor : known);
          }
          return token >= known;
        };
        log.forEach(({ logged }, step) => {
          fold.apply(logged, true);
          const holding = [...fold.tickets()].filter(({ holds }) => holds).flatMap(({ parts }) => parts);
          for (const { name, token } of holding) {
            if (!grants.has(`${name} ${token}`)) {
              grants.set(`${name} ${token}`, { name, token, floor: fold.sharing(name).floor });
            }
          }
          // Anybody who was ever granted something may write, however late.
          const all = [...grants.values()];
          const writer = all[(picks[step] ?? 0) % Math.max(1, all.length)];
          if (writer === undefined) {
            return;
          }
          const { name, token, floor } = writer;
          const held = holding.find((part) => part.name === name && part.token === token);
          const isTaken = write(name, token, floor);
          if (held !== undefined) {
            expect(isTaken).toBe(true);
            if (held.content.limit === 1) {
              alone.set(name, token);
            }
          } else if (token < (alone.get(name) ?? 0n)) {
            expect(isTaken).toBe(false);
          }
        });
      }),
    );
  });

  test("is the same at a member that writes entries and at all others, at every place of the log", () => {
    fc.assert(
      fc.property(generatedLog, fc.array(fc.boolean(), { maxLength: 25 }), (log, looks) => {
        const writers = new Map<string, Fold>();
        log.forEach(({ logged }, index) => {
          // Each member is told of an entry by another path, and shows its own hash in what it writes.
          const own = writers.get(logged.memberId) ?? folded(log.slice(0, index));
          writers.set(logged.memberId, own);
          const shown = { ...logged, entry: { ...logged.entry, seen: own.hash } };
          const results = [...writers.values()].map((fold) => fold.apply(shown, looks[index] ?? true));
          expect(new Set(results.map((outcomes) => JSON.stringify(outcomes, bigints))).size).toBe(1);
          expect(new Set([...writers.values()].map(({ hash }) => JSON.stringify(hash, bigints))).size).toBe(1);
        });
      }),
    );
  });
});

describe("an entry that is delivered twice", () => {
  test("changes nothing the second time, however much later that is", () => {
    fc.assert(
      fc.property(generatedLog, fc.array(fc.nat(), { maxLength: 25 }), (log, repeats) => {
        const fold = new Fold();
        log.forEach(({ logged, tickets }, index) => {
          fold.apply(logged, true);
          const { hash, base } = fold;
          const again = log[(repeats[index] ?? 0) % (index + 1)]?.logged ?? logged;
          // What is written again stands at a later place in the log.
          expect(fold.apply({ ...again, revision: logged.revision + 1n }, true)).toBeUndefined();
          expect(ticketsOf(fold)).toEqual(tickets);
          expect({ hash: fold.hash, base: fold.base }).toEqual({ hash, base });
        });
      }),
    );
  });

  test("is not taken for another member's of the same sequence", () => {
    const fold = new Fold();
    fold.apply(entry(1, [create(1)]), true);
    expect(fold.apply({ ...entry(1, [create(2)], { memberId: "m2" }), revision: 2n }, true)).toMatchObject([
      { kind: "waits" },
    ]);
  });

  test("is not taken for one that was passed over: sequences may come in any order", () => {
    const fold = new Fold();
    fold.apply(entry(2, [create(2)]), true);
    expect(fold.foldedUpTo("m1")).toBe(0);
    expect(fold.apply({ ...entry(1, [create(1)]), revision: 3n }, true)).toMatchObject([{ kind: "waits" }]);
    expect(fold.foldedUpTo("m1")).toBe(2);
  });
});

describe("tokens", () => {
  test("rise strictly over the whole log, and over every floor that was raised", () => {
    fc.assert(
      fc.property(generatedLog, (log) => {
        const fold = new Fold();
        let highest = -1n;
        for (const { logged } of log) {
          const known = new Set([...fold.tickets()].map(({ token }) => token));
          const outcomes = fold.apply(logged, true) ?? [];
          logged.entry.commands.forEach((command, index) => {
            const outcome = outcomes[index];
            if (command.kind === "raise-floor") {
              highest = command.token > highest ? command.token : highest;
            } else if (outcome !== undefined && "token" in outcome && !known.has(outcome.token)) {
              known.add(outcome.token);
              expect(outcome.token).toBeGreaterThan(highest);
              highest = outcome.token;
            }
          });
          expect(fold.nextToken).toBeGreaterThan(highest);
        }
      }),
    );
  });

  test("go on from a floor where the store was replaced by one with lower revisions", () => {
    fc.assert(
      fc.property(generatedLog, generatedLog, (lost, found) => {
        const fold = folded(lost);
        const { nextToken } = fold;
        const isNews = nextToken > new Fold().nextToken;
        fold.become(fold.fresh({ level: 1, revision: 0n, revisionOffset: 0n }), true);
        expect(fold.isOutdated(nextToken - 1n)).toBe(isNews);
        expect(fold.isOutdated(nextToken)).toBe(false);
        fold.apply({ ...entry(1, [{ kind: "raise-floor", token: nextToken - 1n }], { memberId: "m9" }) }, true);
        for (const { logged } of found) {
          fold.apply({ ...logged, revision: logged.revision + 1n }, true);
        }
        expect([...fold.tickets()].filter(({ token }) => fold.isOutdated(token))).toEqual([]);
      }),
    );
  });

  test("are a place in the log as one number: a revision's commands follow one another", () => {
    const fold = new Fold();
    const outcomes = fold.apply({ ...entry(1, [create(1), create(2), create(1, "b")]), revision: 7n }, true);
    const first = 7n * 4096n;
    expect(outcomes).toMatchObject([{ token: first }, { token: first + 1n }, { token: first + 2n }]);
    expect(fold.nextToken).toBe(8n * 4096n);
  });
});

describe("what became of a member's commands", () => {
  test("is kept until the member has said that it knows, and forgotten with the member", () => {
    fc.assert(
      fc.property(generatedLog, (log) => {
        const fold = new Fold();
        const kept = new Map<LoggedEntry, Step["outcomes"]>();
        for (const { logged, outcomes } of log) {
          fold.apply(logged, true);
          kept.set(logged, outcomes);
          for (const [earlier, theirs] of kept) {
            const { memberId, sequence } = earlier;
            const isKnown = memberId === logged.memberId && sequence <= logged.entry.settled;
            if (isKnown) {
              kept.set(earlier, []);
            }
            const expected = isKnown || theirs.length === 0 ? undefined : theirs;
            expect(fold.outcomes(memberId, sequence)).toEqual(expected);
            expect(fold.foldedUpTo(memberId)).toBeGreaterThanOrEqual(sequence);
          }
        }
        const [first] = log;
        const memberId = first?.logged.memberId ?? "";
        fold.forgetMember(memberId);
        expect(fold.foldedUpTo(memberId)).toBe(0);
        fold.keepMembers(new Set());
        expect(log.map(({ logged }) => fold.foldedUpTo(logged.memberId))).toEqual(log.map(() => 0));
      }),
    );
  });
});

test("a renewal that names no TTL keeps the one that the ticket has, and one of a waiter has no effect", () => {
  const fold = new Fold();
  fold.apply(entry(1, [create(1), create(2)]), true);
  const [holder, waiter] = ticketsOf(fold).map(({ token }) => token);
  const renew = (n: number, token = 0n, ttlMs = 0): Command => ({
    kind: "renew",
    name: nameOf("a"),
    id: idOf(n),
    token,
    ttlMs,
    downgrade: false,
  });
  const outcomes = fold.apply(entry(2, [renew(1, holder), renew(2, waiter, 5), renew(1, holder, 7)]), true);
  expect(outcomes).toEqual([{ kind: "done" }, { kind: "not-there" }, { kind: "done" }]);
  expect(ticketsOf(fold).map(({ content }) => content.ttlMs)).toEqual([7, 10_000]);
});

test("a ticket that is released is gone, and its key does not open the next one of the same id", () => {
  const fold = new Fold();
  const first = new PlainTable().tokenAt(1n, 0);
  fold.apply(entry(1, [create(1)]), true);
  expect(fold.apply(entry(2, [release(1, first), create(1), release(1, first)]), true)).toMatchObject([
    { kind: "done" },
    { kind: "holds" },
    { kind: "not-there" },
  ]);
});

function bigints(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}
