import { describe, expect, test } from "@jest/globals";
import { loadedFrom, partsOf } from "../../test-support/generated-log.js";
import { create, nameOf } from "../../test-support/told.js";
import { type Command, forcedKept, forcedKeptMs } from "../model/command.js";
import { Fold } from "./fold.js";

const day = 24 * 60 * 60 * 1000;

function applied(fold: Fold, revision: number, ...commands: readonly Command[]) {
  const entry = { level: 2, settled: revision - 1, seen: undefined, commands };
  return fold.apply({ memberId: "m1", sequence: revision, revision: BigInt(revision), entry }, true);
}

function force(token: bigint, { lock = "a", unixMs = 0 } = {}): Command {
  return { kind: "force", name: nameOf(lock), token, actor: "ops", reason: "stuck", unixMs };
}

describe("a release by force", () => {
  test("removes the ticket with that token and no other, lets the next one hold, and keeps a record", () => {
    const fold = new Fold();
    applied(fold, 1, create(1, "a", { owner: "orders-7" }), create(2));
    const [first, second] = [...fold.queue(nameOf("a"))].map(({ token }) => token);
    expect(applied(fold, 2, force(first ?? 0n, { unixMs: 5 }), force(first ?? 0n))).toEqual([
      { kind: "done" },
      { kind: "not-there" },
    ]);
    expect([...fold.queue(nameOf("a"))].map(({ token, holds }) => ({ token, holds }))).toEqual([
      { token: second, holds: true },
    ]);
    expect([...fold.forced.values()]).toEqual([
      {
        name: nameOf("a"),
        token: first,
        actor: "ops",
        reason: "stuck",
        unixMs: 5,
        owner: "orders-7",
        held: true,
        place: 2n * 4096n,
      },
    ]);
  });

  test("with the token of another lock, or of a ticket that went, changes nothing", () => {
    const fold = new Fold();
    applied(fold, 1, create(1), create(2, "b"));
    const { hash } = fold;
    const [other] = [...fold.queue(nameOf("b"))].map(({ token }) => token);
    expect(applied(fold, 2, force(other ?? 0n), force(7n))).toEqual([{ kind: "not-there" }, { kind: "not-there" }]);
    expect(fold.hash).toEqual({ ...hash, revision: 2n });
    expect(fold.forced.size).toBe(0);
  });

  test("tells the follower of the ticket who did it", () => {
    const fold = new Fold();
    applied(fold, 1, create(1), create(2));
    const told: unknown[] = [];
    for (const ticket of fold.tickets()) {
      ticket.follower = {
        granted: () => told.push("granted"),
        removed: (forced) => told.push(forced?.reason),
        moved: () => undefined,
        replaced: () => undefined,
      };
    }
    applied(fold, 2, force(4096n));
    fold.tell();
    expect(told).toEqual(["stuck", "granted"]);
  });

  test("is told to a follower even if the log was read anew before", () => {
    const fold = new Fold();
    const other = new Fold();
    applied(fold, 1, create(1));
    applied(other, 1, create(1));
    applied(other, 2, force(4096n));
    const told: unknown[] = [];
    for (const ticket of fold.tickets()) {
      ticket.follower = {
        granted: () => undefined,
        removed: (forced) => told.push(forced?.actor),
        moved: () => undefined,
        replaced: () => undefined,
      };
    }
    const snapshot = other.snapshot();
    fold.become(loadedFrom(other, snapshot, partsOf(snapshot)));
    fold.tell();
    expect(told).toEqual(["ops"]);
  });
});

describe("records of releases by force", () => {
  test("are kept for 7 days before the latest, over a snapshot too", () => {
    const fold = new Fold();
    applied(fold, 1, create(1), create(2), create(3));
    const tokens = [...fold.tickets()].map(({ token }) => token);
    const times = [day, day + 1, day + 1 + forcedKeptMs];
    tokens.forEach((token, n) => applied(fold, n + 2, force(token, { unixMs: times[n] ?? 0 })));
    expect([...fold.forced.values()].map(({ unixMs }) => unixMs)).toEqual(times.slice(1));
    const snapshot = fold.snapshot();
    const loaded = loadedFrom(fold, snapshot, partsOf(snapshot, 1).reverse());
    expect(loaded.forced).toEqual(fold.forced);
    expect(loaded.hash).toEqual(fold.hash);
  });

  test(`are ${forcedKept} at most, and the oldest go first`, () => {
    const fold = new Fold();
    for (let n = 0; n < forcedKept + 5; n++) {
      applied(fold, 2 * n + 1, create(1));
      applied(fold, 2 * n + 2, force(BigInt(2 * n + 1) * 4096n, { unixMs: n }));
    }
    expect(fold.forced.size).toBe(forcedKept);
    expect([...fold.forced.values()][0]?.unixMs).toBe(5);
  });
});
