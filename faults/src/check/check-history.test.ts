import { describe, expect, test } from "@jest/globals";
import type { Ask } from "../history/ask.js";
import { noteForces } from "../history/force.js";
import type { History, ResourceEvent } from "../history/history.js";
import type { TicketLife } from "../history/ticket-life.js";
import { checkHistory } from "./check-history.js";
import { lateTickets } from "./late-tickets.js";
import { lostPlaces } from "./lost-places.js";

const second = 1_000_000;

function ask(id: string, rest: Partial<Ask>): Ask {
  return {
    id,
    process: "p",
    lock: "a",
    ttlMs: 10_000,
    keepAlive: false,
    askedUs: 0,
    permits: 1,
    limit: 1,
    errors: [],
    ...rest,
  };
}

/** An ask that was granted `token` at one time and gave the lock back at another, in seconds. */
function held(id: string, token: bigint, from: number, to: number, rest: Partial<Ask> = {}): Ask {
  const doneUs = to * second;
  return ask(id, { token, grantedUs: from * second, untilUs: doneUs + second, doneUs, unlockedUs: doneUs, ...rest });
}

function ticket(owner: string, token: bigint, rest: Partial<TicketLife> = {}): TicketLife {
  return { lock: "a", id: `${owner}-${token}`, ask: owner, token, createdUs: 0, memberId: "1", held: true, ...rest };
}

/** A history that is as it should be, except for what is given. */
function history(given: Partial<History>): History {
  const asks = given.asks ?? [];
  const tickets = asks.flatMap(({ id, token, doneUs }) =>
    token === undefined
      ? []
      : [ticket(id, token, doneUs === undefined ? {} : { goneUs: doneUs, gonePlace: token + 1n })],
  );
  return {
    tickets,
    forces: [],
    resource: [],
    putsUs: [],
    faults: [],
    left: [],
    beginUs: 0,
    endUs: 99 * second,
    ...given,
    asks,
  };
}

function rulesBroken(given: Partial<History>): string[] {
  return checkHistory(history(given)).map(({ rule }) => rule);
}

function wrote(kind: ResourceEvent["kind"], id: string, token: bigint, at: number): ResourceEvent {
  const event = { atUs: at * second, ask: id, lock: "a", token: token.toString(), floor: token.toString() };
  return kind === "written" ? { kind, ...event } : { kind, ...event, highest: "99" };
}

test("a history in which all is well is accepted", () => {
  expect(rulesBroken({})).toEqual([]);
  expect(rulesBroken({ asks: [held("x", 1n, 1, 2), held("y", 3n, 2, 3)] })).toEqual([]);
});

describe("holders leave room", () => {
  test("two that hold at once", () => {
    expect(rulesBroken({ asks: [held("x", 1n, 1, 3), held("y", 3n, 2, 4)] })).toEqual(["holders leave room"]);
  });

  test("one that holds within the time of another, after a third", () => {
    const asks = [held("x", 1n, 1, 9), held("y", 3n, 2, 3), held("z", 5n, 4, 5)];
    expect(rulesBroken({ asks })).toEqual(["holders leave room", "holders leave room"]);
  });

  test("one that went away without a word believes until the end of its validity", () => {
    const left = ask("x", { token: 1n, grantedUs: second, untilUs: 5 * second });
    expect(rulesBroken({ asks: [left, held("y", 3n, 4, 6)] })).toEqual(["holders leave room"]);
    expect(rulesBroken({ asks: [left, held("y", 3n, 5, 6)] })).toEqual([]);
  });

  test("one that was kept alive believes until its process is killed", () => {
    const died = ask("x", { token: 1n, grantedUs: 1, untilUs: 2, keepAlive: true, diedUs: 5 * second });
    expect(rulesBroken({ asks: [died, held("y", 3n, 4, 6)] })).toEqual(["holders leave room"]);
    expect(rulesBroken({ asks: [died, held("y", 3n, 5, 6)] })).toEqual([]);
  });

  test("a signal ends the belief", () => {
    const warned = held("x", 1n, 1, 9, { overUs: 2 * second });
    const tickets = [ticket("x", 1n, { goneUs: 3 * second, gonePlace: 2n }), ticket("y", 3n)];
    expect(
      rulesBroken({ asks: [{ ...warned, unlockedUs: 3 * second }, ask("y", { ...held("y", 3n, 3, 4) })], tickets }),
    ).toEqual(["unlocks take effect"]);
  });

  test("locks of other names do not matter", () => {
    expect(
      rulesBroken({
        asks: [held("x", 1n, 1, 3, { lock: "b" })],
        tickets: [ticket("x", 1n, { lock: "b", goneUs: 3 * second })],
      }),
    ).toEqual([]);
  });
});

describe("locks that are shared", () => {
  const unlimited = 2 ** 32 - 1;
  const shared = { permits: 1, limit: unlimited };

  test("are held by any that share, and nobody beside", () => {
    const [x, y] = [held("x", 1n, 1, 4, shared), held("y", 3n, 2, 5, { ...shared, floor: 1n })];
    expect(rulesBroken({ asks: [x, y] })).toEqual([]);
    expect(rulesBroken({ asks: [x, y, held("z", 5n, 3, 6)] })).toEqual(["holders leave room"]);
    expect(rulesBroken({ asks: [x, y, held("z", 5n, 5, 6)] })).toEqual([]);
  });

  test("count as shared from a downgrade on, and not before", () => {
    const writer = held("x", 1n, 1, 6, { downgradedUs: 3 * second });
    expect(rulesBroken({ asks: [writer, held("y", 3n, 3, 5, { ...shared, floor: 1n })] })).toEqual([]);
    expect(rulesBroken({ asks: [writer, held("y", 3n, 2, 5, { ...shared, floor: 1n })] })).toEqual([
      "holders leave room",
    ]);
    expect(rulesBroken({ asks: [writer, held("y", 3n, 4, 5)] })).toEqual(["holders leave room"]);
  });

  test("have no more permits than the smallest limit among the holders", () => {
    const part = (id: string, token: bigint, permits: number, limit: number) =>
      held(id, token, Number(token), 9, { permits, limit, floor: 1n });
    expect(rulesBroken({ asks: [part("x", 1n, 2, 4), part("y", 2n, 2, 5)] })).toEqual([]);
    expect(rulesBroken({ asks: [part("x", 1n, 2, 4), part("y", 2n, 3, 5)] })).toEqual(["holders leave room"]);
  });

  test("are granted with a token that no floor before is above", () => {
    const [x, y] = [held("x", 5n, 1, 4, { ...shared, floor: 5n }), held("y", 3n, 2, 5, { ...shared, floor: 3n })];
    expect(rulesBroken({ asks: [x, y] })).toEqual(["tokens rise"]);
  });
});

test("tokens rise in the order of the grants", () => {
  expect(rulesBroken({ asks: [held("x", 3n, 1, 2), held("y", 1n, 2, 3)] })).toEqual(["tokens rise"]);
  expect(rulesBroken({ asks: [held("x", 3n, 1, 2), held("x", 3n, 2, 3)] })).toContain("tokens rise");
});

describe("tickets", () => {
  test("a grant without a ticket", () => {
    expect(rulesBroken({ asks: [held("x", 1n, 1, 2)], tickets: [] })).toEqual(["grants are committed"]);
    expect(rulesBroken({ asks: [held("x", 1n, 1, 2)], tickets: [ticket("y", 1n)] })).toEqual(["grants are committed"]);
  });

  test("a ticket that goes while its client believes to hold", () => {
    const tickets = [ticket("x", 1n, { goneUs: 1.5 * second })];
    expect(rulesBroken({ asks: [held("x", 1n, 1, 2)], tickets })).toEqual(["holds are kept"]);
  });

  test("two tickets of one ask at once", () => {
    const tickets = [ticket("x", 1n, { goneUs: 0, gonePlace: 5n }), ticket("x", 3n, { goneUs: 2 * second })];
    expect(rulesBroken({ asks: [held("x", 3n, 1, 2)], tickets })).toEqual(["one ticket an ask"]);
  });

  test("a wait that begins again behind others has lost its place; one that was the first, or has an end, has not", () => {
    const before = ticket("y", 1n, { gonePlace: 9n });
    const again = [ticket("x", 2n, { goneUs: 7, gonePlace: 8n }), ticket("x", 10n)];
    expect(lostPlaces([ask("x", { token: 10n })], [before, ...again])).toMatchObject([{ ask: { id: "x" }, atUs: 7 }]);
    expect(lostPlaces([ask("x", { token: 10n })], again)).toEqual([]);
    expect(lostPlaces([ask("x", { token: 10n, waitMs: 9 })], [before, ...again])).toEqual([]);
    expect(lostPlaces([ask("x", { token: 2n })], [before, ...again])).toEqual([]);
    expect(lostPlaces([ask("x", { token: 10n })], [before, ...again.slice(1)])).toEqual([]);
  });

  test("a ticket that comes after its ask was unlocked, and stays, is late", () => {
    const late = ticket("x", 9n, { createdUs: 3 * second });
    expect(lateTickets([held("x", 1n, 1, 2)], [ticket("x", 1n), late])).toMatchObject([{ ticket: { token: 9n } }]);
    expect(lateTickets([held("x", 9n, 1, 2)], [ticket("x", 1n), late])).toEqual([]);
    expect(lateTickets([held("x", 1n, 1, 2)], [{ ...late, goneUs: 3.1 * second }])).toEqual([]);
  });

  test("what is left in the store", () => {
    expect(rulesBroken({ left: ["a, token 1"] })).toEqual(["nothing is left"]);
  });
});

describe("unlocks", () => {
  const asks = [held("x", 1n, 1, 2)];

  test("that took effect only with the TTL, or never", () => {
    expect(rulesBroken({ asks, tickets: [ticket("x", 1n, { goneUs: 9 * second })] })).toEqual(["unlocks take effect"]);
    expect(rulesBroken({ asks, tickets: [ticket("x", 1n)] })).toEqual(["unlocks take effect"]);
  });

  test("show nothing after the end of the validity, when no server need have answered", () => {
    const late = held("x", 1n, 1, 2, { unlockedUs: 3 * second });
    const tickets = [ticket("x", 1n, { goneUs: 9 * second })];
    expect(rulesBroken({ asks: [late], tickets })).toEqual([]);
    expect(rulesBroken({ asks: [{ ...late, untilUs: 3.1 * second }], tickets })).toEqual(["unlocks take effect"]);
  });

  test("may be heard of late while the store is broken", () => {
    const tickets = [ticket("x", 1n, { goneUs: 9 * second })];
    const fault = { target: "", beginUs: second, healedUs: 8 * second, endUs: 9 * second };
    expect(rulesBroken({ asks, tickets, faults: [{ kind: "etcd-leader-kill", ...fault }] })).toEqual([]);
    expect(rulesBroken({ asks, tickets, faults: [{ kind: "metasrv-kill", ...fault }] })).toHaveLength(1);
  });
});

describe("the resource", () => {
  const asks = [held("x", 1n, 1, 2), held("y", 3n, 3, 4)];

  test("takes a stale write", () => {
    const resource = [wrote("written", "y", 3n, 3), wrote("written", "x", 1n, 3.5)];
    expect(rulesBroken({ asks, resource })).toEqual(["stale writes are refused"]);
  });

  test("refuses a holder", () => {
    expect(rulesBroken({ asks, resource: [wrote("fenced", "x", 1n, 1.5)] })).toEqual(["holders' writes are taken"]);
  });

  test("refuses who held before", () => {
    const resource = [wrote("written", "x", 1n, 1.5), wrote("written", "y", 3n, 3), wrote("fenced", "x", 1n, 3.5)];
    expect(rulesBroken({ asks, resource })).toEqual([]);
  });
});

describe("several locks at once", () => {
  const others = [{ lock: "b", permits: 1, limit: 1 }];
  const both = held("x", 1n, 1, 3, { others });
  const tickets = [
    ticket("x", 1n, { others: ["b"], goneUs: 3 * second, gonePlace: 2n }),
    ticket("y", 3n, { lock: "b", goneUs: 9 * second, gonePlace: 4n }),
  ];

  test("are held beside nobody, each of them", () => {
    const other = (from: number) => held("y", 3n, from, 9, { lock: "b" });
    expect(rulesBroken({ asks: [both, other(3)], tickets })).toEqual([]);
    expect(rulesBroken({ asks: [both, other(2)], tickets })).toEqual(["holders leave room"]);
  });

  test("are granted for a ticket of all of them, once it holds them all", () => {
    const [whole] = tickets as [TicketLife, TicketLife];
    expect(rulesBroken({ asks: [both], tickets: [whole] })).toEqual([]);
    expect(rulesBroken({ asks: [both], tickets: [{ ...whole, held: false }] })).toEqual(["grants are committed"]);
    expect(rulesBroken({ asks: [both], tickets: [{ ...whole, others: [] }] })).toEqual(["grants are committed"]);
  });

  test("have a floor each", () => {
    const before = held("y", 3n, 0, 1, { lock: "b", floor: 3n });
    const after = { ...both, floor: 1n, otherFloors: [1n] };
    expect(
      rulesBroken({
        asks: [before, after],
        tickets: [...tickets.slice(0, 1), ticket("y", 3n, { lock: "b", goneUs: second })],
      }),
    ).toEqual(["tokens rise"]);
  });
});

describe("a release by force", () => {
  const forces = [{ lock: "a", token: 1n, atUs: 1.9 * second, doneUs: 2.1 * second }];
  const gone = ticket("x", 1n, { goneUs: 2 * second, gonePlace: 2n, forced: true });
  const next = held("y", 3n, 1.95, 9);
  const tickets = [gone, ticket("y", 3n, { goneUs: 9 * second, gonePlace: 4n })];
  const holder = (toldUs: number) =>
    ask("x", { token: 1n, grantedUs: second, untilUs: 9 * second, overUs: toldUs, forcedUs: 1.9 * second });

  test("may take a lock from one who believes in it, who is told", () => {
    expect(rulesBroken({ asks: [holder(2.2 * second), next], tickets, forces })).toEqual([]);
    expect(rulesBroken({ asks: [holder(3.2 * second), next], tickets, forces })).toEqual(["force is told"]);
  });

  test("is told later where something is broken, and with the TTL at the latest", () => {
    const fault = { kind: "metasrv-kill", target: "", beginUs: second, healedUs: 2 * second, endUs: 3 * second };
    const [late, tooLate] = [holder(3.2 * second), { ...holder(8 * second), ttlMs: 5_000 }];
    expect(rulesBroken({ asks: [late, next], tickets, forces, faults: [fault] })).toEqual([]);
    expect(rulesBroken({ asks: [tooLate, next], tickets, forces, faults: [fault] })).toEqual(["force is told"]);
  });

  test("takes nothing that no operator named, and what it was told to have taken", () => {
    expect(rulesBroken({ tickets: [gone] })).toEqual(["force hits what was named"]);
    expect(rulesBroken({ tickets: [gone], forces })).toEqual([]);
    expect(rulesBroken({ tickets: [], forces })).toEqual(["force hits what was named"]);
  });

  test("is found with the ask that it ended, by any of its locks", () => {
    const asks = [held("x", 1n, 1, 3), held("y", 3n, 3, 4)];
    noteForces(asks, [{ ...gone, others: ["b"] }, ...tickets.slice(1)], [{ lock: "b", token: 1n, atUs: 7 }]);
    expect(asks.map(({ forcedUs }) => forcedUs)).toEqual([7, undefined]);
  });
});
