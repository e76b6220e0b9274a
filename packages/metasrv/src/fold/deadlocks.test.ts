import { describe, expect, test } from "@jest/globals";
import { content, idOf, nameOf } from "../../test-support/told.js";
import type { Command } from "../model/command.js";
import { extrasOf, type Share, shared } from "../model/ticket-content.js";
import { findDeadlock, findDeadlocks } from "./deadlocks.js";
import { Fold } from "./fold.js";
import type { Ticket } from "./queue.js";

/** Locks as several requesters ask for them, each of which may hold others meanwhile. */
class Stage {
  readonly fold = new Fold();
  #revision = 0;

  /** @param more - further locks that are asked for at once, and what the requester holds */
  ask(
    lock: string,
    more: { readonly others?: readonly string[]; within?: readonly Ticket[]; share?: Share } = {},
  ): Ticket {
    const { others = [], within = [], share } = more;
    const extras = extrasOf({
      others: others.map((other) => ({ name: nameOf(other), permits: 1, limit: 1 })),
      within: within.map(({ name, token }) => ({ name, token })),
    });
    const revision = ++this.#revision;
    const ref = { name: nameOf(lock), id: idOf(revision) };
    const command: Command = {
      kind: "create",
      ...ref,
      content: { ...content, ...share, extras },
      attempt: 0,
      try: false,
    };
    this.#apply(command);
    const ticket = this.fold.get(ref);
    if (ticket === undefined) {
      throw new Error("the ticket is not there");
    }
    return ticket;
  }

  release({ name, id, token }: Ticket): void {
    this.#revision++;
    this.#apply({ kind: "remove", name, id, token, cause: "cancelled", memberId: "" });
  }

  #apply(command: Command): void {
    const entry = { level: 2, settled: 0, seen: undefined, commands: [command] };
    this.fold.apply({ memberId: "m1", sequence: this.#revision, revision: BigInt(this.#revision), entry }, true);
  }
}

function all({ fold }: Stage) {
  return [...findDeadlocks(fold)].filter((found) => found !== undefined);
}

describe("a deadlock", () => {
  test("is found where two wait for what the other holds", () => {
    const stage = new Stage();
    const a = stage.ask("a");
    const b = stage.ask("b");
    const wantsB = stage.ask("b", { within: [a] });
    expect(findDeadlock(stage.fold, wantsB)).toBeUndefined();
    const wantsA = stage.ask("a", { within: [b] });
    expect(findDeadlock(stage.fold, wantsA)).toEqual([wantsA, wantsB]);
    expect(all(stage)).toEqual([[wantsB, wantsA]]);
    stage.release(wantsB);
    expect(all(stage)).toEqual([]);
  });

  test("is found over many, over several locks at once, and where others wait between", () => {
    const stage = new Stage();
    const held = ["a", "b", "c", "d"].map((lock) => stage.ask(lock));
    const [a, b, c, d] = held as [Ticket, Ticket, Ticket, Ticket];
    stage.ask("b");
    const waits = [
      stage.ask("b", { within: [a], others: ["e"] }),
      stage.ask("c", { within: [b] }),
      stage.ask("d", { within: [c] }),
      stage.ask("a", { within: [d] }),
    ];
    for (const wait of waits) {
      const circle = findDeadlock(stage.fold, wait);
      expect(circle?.[0]).toBe(wait);
      expect(new Set(circle)).toEqual(new Set(waits));
    }
    expect(all(stage)).toHaveLength(1);
  });

  test("is none where the circle has a way out: one of the holders waits for nothing", () => {
    const stage = new Stage();
    const a = stage.ask("a", { share: shared });
    stage.ask("b");
    const wantsB = stage.ask("b", { within: [a] });
    const wantsA = stage.ask("a");
    expect(findDeadlock(stage.fold, wantsB)).toBeUndefined();
    expect(findDeadlock(stage.fold, wantsA)).toBeUndefined();
    expect(all(stage)).toEqual([]);
  });

  test("of a semaphore is one only if no holder can go that leaves room", () => {
    const stage = new Stage();
    const permit = { permits: 1, limit: 2 };
    const a = stage.ask("s", { share: permit });
    const b = stage.ask("s", { share: permit });
    const x = stage.ask("x");
    const wantsX = stage.ask("x", { within: [a] });
    const wantsPermit = stage.ask("s", { share: permit, within: [x] });
    // The other holder goes, and leaves its permit.
    expect(findDeadlock(stage.fold, wantsPermit)).toBeUndefined();
    const wantsXToo = stage.ask("x", { within: [b] });
    const found = findDeadlock(stage.fold, wantsPermit) ?? [];
    expect(found[0]).toBe(wantsPermit);
    expect([wantsX, wantsXToo]).toContain(found[1]);
    expect(all(stage)).not.toEqual([]);
  });

  test("is none for who only waits behind one", () => {
    const stage = new Stage();
    const [a, b, c] = [stage.ask("a"), stage.ask("b"), stage.ask("c")];
    stage.ask("b", { within: [a] });
    stage.ask("a", { within: [b] });
    const behind = stage.ask("a", { within: [c] });
    expect(findDeadlock(stage.fold, behind)).toBeUndefined();
    expect(all(stage)).toHaveLength(1);
  });

  test("is found where somebody asks for a lock that it holds itself", () => {
    const stage = new Stage();
    const a = stage.ask("a");
    const again = stage.ask("a", { within: [a] });
    expect(findDeadlock(stage.fold, again)).toEqual([again]);
  });

  test("is found behind many that wait, in a time that grows as they do", () => {
    const stage = new Stage();
    const [a, b] = [stage.ask("a"), stage.ask("b")];
    const waits = Array.from({ length: 900 }, () => stage.ask("b", { within: [a] }));
    const last = waits.at(-1) ?? b;
    expect(findDeadlock(stage.fold, last)).toBeUndefined();
    const wantsA = stage.ask("a", { within: [b] });
    expect(findDeadlock(stage.fold, wantsA)?.[0]).toBe(wantsA);
    // With a look at each three of them, it would be minutes, and more than a test has.
  });

  test("is none where too many have to do with each other", () => {
    const stage = new Stage();
    const a = stage.ask("a");
    stage.ask("b");
    for (let asked = 0; asked < 20_000; asked++) {
      stage.ask("b", { within: [a] });
    }
    const wantsA = stage.ask("a");
    expect(findDeadlock(stage.fold, wantsA)).toBeUndefined();
  });
});
