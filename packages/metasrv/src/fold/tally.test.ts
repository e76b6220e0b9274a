import { describe, expect, test } from "@jest/globals";
import { type Command, knownLevel } from "../model/command.js";
import { exclusive, extrasOf, type TicketContent } from "../model/ticket-content.js";
import { type LockName, lockNameOf, ticketIdFrom } from "../model/ticket-ref.js";
import { Fold } from "./fold.js";

const groups = new Map(["a", "b"].map((letter) => [letter, { letter }]));
const groupOf = (name: LockName) => groups.get(name.charAt(0)) ?? groups;

/** What a tally should be, by a walk through the whole table. */
function walked(fold: Fold, group: object) {
  const names = new Set<LockName>();
  const waiting: number[] = [];
  for (const ticket of fold.tickets()) {
    for (const part of ticket.parts) {
      if (groupOf(part.name) === group) {
        names.add(part.name);
        if (!part.admitted) {
          waiting.push(ticket.seenAtMs);
        }
      }
    }
  }
  return {
    locks: names.size,
    waiting: waiting.length,
    oldestSeenAtMs: waiting.length === 0 ? undefined : Math.min(...waiting),
  };
}

describe("tallies", () => {
  test("are what a walk through the table says, whatever happens, and after the log was read anew", () => {
    let seed = 7;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff;
      return (seed >>> 8) % below;
    };
    const fold = new Fold(undefined, knownLevel, groupOf);
    let now = 0;
    fold.nowMs = () => now;
    const name = (n: number) => lockNameOf(Buffer.from(`${n % 2 === 0 ? "a" : "b"}${n}`));
    const content = (): TicketContent => {
      const others = random(4) === 0 ? [{ name: lockNameOf(Buffer.from("c1")), ...exclusive }] : [];
      const share = random(3) === 0 ? { permits: 1, limit: 2 } : exclusive;
      return { ttlMs: 1, owner: "", resumable: true, ...share, extras: extrasOf({ others }) };
    };
    for (let step = 1; step <= 3_000; step++) {
      now += random(3);
      const tickets = [...fold.tickets()];
      const one = tickets[random(Math.max(1, tickets.length))];
      const command: Command =
        one === undefined || random(5) < 2 || tickets.length < 10
          ? {
              kind: "create",
              name: name(random(6)),
              id: ticketIdFrom(Buffer.alloc(16, `${step}`)),
              content: content(),
              attempt: 0,
              try: random(5) === 0,
            }
          : { kind: "remove", name: one.name, id: one.id, token: one.token, cause: "cancelled", memberId: "" };
      const entry = { level: knownLevel, settled: step - 1, seen: undefined, commands: [command] };
      fold.apply({ memberId: "m", sequence: step, revision: BigInt(step), entry }, false);
      if (step % 500 === 0) {
        const fresh = fold.fresh(fold.base);
        const snapshot = fold.snapshot();
        for (let part = snapshot.next(7); part !== undefined; part = snapshot.next(7)) {
          fresh.load(part);
        }
        fresh.loaded(snapshot.hash);
        fold.become(fresh);
      }
      for (const group of groups.values()) {
        const { locks, waiting, oldestSeenAtMs } = fold.tally(group) ?? { locks: 0, waiting: 0 };
        expect({ locks, waiting, oldestSeenAtMs }).toEqual(walked(fold, group));
      }
    }
    expect(fold.size).toBeGreaterThan(0);
  });

  test("are not kept when nobody wants them", () => {
    expect(new Fold().tally({})).toBeUndefined();
  });
});
