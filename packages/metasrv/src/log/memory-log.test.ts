import { beforeEach, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { PlainTable, ticketsOf } from "../../test-support/plain-table.js";
import { create, release, Told } from "../../test-support/told.js";
import { Fold } from "../fold/fold.js";
import { type Command, commandsPerEntry, knownLevel, type LoggedEntry, type Outcome } from "../model/command.js";
import type { LockError } from "../model/lock-errors.js";
import type { StoredMember } from "../model/member.js";
import type { CommandLog } from "./command-log.js";
import { createMemoryLog } from "./memory-log.js";

const member = { address: "here:1", version: "0", startedUnixMs: 7 };

/** A fold that remembers what it was given. */
class WatchedFold extends Fold {
  readonly entries: LoggedEntry[] = [];
  fails: Error | undefined;
  tells = 0;

  override apply(entry: LoggedEntry, live: boolean): readonly Outcome[] | undefined {
    this.entries.push(entry);
    if (this.fails !== undefined) {
      throw this.fails;
    }
    return super.apply(entry, live);
  }

  override tell(): void {
    this.tells++;
    super.tell();
  }
}

let log: CommandLog;
let fold: WatchedFold;
let fatal: Error[];
let members: (readonly StoredMember[])[];

function made(startedUnixMs = 1_000): CommandLog {
  return createMemoryLog({ startedUnixMs, fatal: (error) => fatal.push(error) });
}

function append(command: Command, to = log): Told {
  const told = new Told();
  to.append(command, told, "soon");
  return told;
}

async function opened(startedUnixMs?: number): Promise<CommandLog> {
  const one = made(startedUnixMs);
  await one.open(fold, { members: (all) => members.push(all), strays: () => undefined });
  return one;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

function token({ outcome }: Told): bigint {
  return outcome !== undefined && "token" in outcome ? outcome.token : -1n;
}

beforeEach(async () => {
  fold = new WatchedFold();
  fatal = [];
  members = [];
  log = await opened();
});

describe("commands", () => {
  test("that are asked for in one turn are one entry, in the order of the asking", async () => {
    const told = [append(create(1)), append(create(2)), append(create(1, "b", { try: true }))];
    expect(told.map(({ words }) => words)).toEqual([[], [], []]);
    await turn();
    expect(told.map(({ words }) => words)).toEqual([["settled holds"], ["settled waits"], ["settled holds"]]);
    append(create(3));
    await turn();
    expect(fold.entries.map(({ entry }) => entry.commands.length)).toEqual([3, 1]);
    expect(fold.entries.map(({ entry: { level } }) => level)).toEqual([knownLevel, knownLevel]);
    expect(fold.tells).toBe(2);
  });

  test("are told what the rules say, at every place of the log", async () => {
    const step = fc.record({ n: fc.integer({ min: 1, max: 4 }), try: fc.boolean(), pause: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
        fold = new WatchedFold();
        log = await opened();
        const told: Told[] = [];
        for (const { n, pause, ...options } of steps) {
          told.push(append(create(n, "a", options)));
          if (pause) {
            await turn();
          }
        }
        await turn();
        const table = new PlainTable();
        const outcomes = fold.entries.flatMap(({ memberId, revision, entry }) =>
          entry.commands.map((command, index) => table.execute(command, memberId, revision, index)),
        );
        expect(told.map(({ outcome }) => outcome)).toEqual(outcomes);
        expect(ticketsOf(fold)).toEqual(table.tickets);
      }),
      { numRuns: 50 },
    );
  });

  test("that are asked for from within an answer are written after it", async () => {
    const second = new Told();
    let wordsAtAnswer: readonly string[] = ["never answered"];
    const first = new (class extends Told {
      override settled(outcome: Outcome): void {
        super.settled(outcome);
        log.append(release(1, token(this)), second, "now");
        wordsAtAnswer = [...second.words];
      }
    })();
    log.append(create(1), first, "soon");
    await turn();
    expect(wordsAtAnswer).toEqual([]);
    expect(second.words).toEqual(["settled done"]);
    expect(fold.size).toBe(0);
  });

  test("of one turn that are more than an entry has room for are several entries, and none is lost", async () => {
    const told = Array.from({ length: commandsPerEntry + 10 }, (_, n) => append(create(n, `lock ${n}`)));
    await turn();
    expect(fold.entries.map(({ entry }) => entry.commands.length)).toEqual([commandsPerEntry, 10]);
    expect(told.every(({ words }) => words.length === 1 && words[0] === "settled holds")).toBe(true);
    const tokens = told.map(token);
    expect([...tokens].sort((a, b) => (a < b ? -1 : 1))).toEqual(tokens);
    expect(new Set(tokens).size).toBe(tokens.length);
  });

  test("whose outcomes were told are not kept: the log grows with what is there, not with what was", async () => {
    for (let round = 0; round < 50; round++) {
      append({ kind: "raise-floor", token: 0n });
      await turn();
    }
    expect(fold.foldedUpTo("memory")).toBe(50);
    expect(Array.from({ length: 50 }, (_, n) => fold.outcomes("memory", n)).filter(Boolean)).toEqual([]);
  });

  test("that come before the log is open, or after it was closed, fail", async () => {
    const early = made();
    const told = [append(create(1), early)];
    await turn();
    await log.close();
    told.push(append(create(1)));
    await turn();
    expect(told.map(({ words }) => words)).toEqual([["failed shutting-down"], ["failed shutting-down"]]);
    expect(fold.entries).toEqual([]);
  });
});

describe("closing", () => {
  test("fails at once what was not written yet, and leaves what was", async () => {
    const before = append(create(1));
    await turn();
    const [second, third] = [append(create(2)), append(create(3))];
    const closed = log.close();
    expect([second, third].map(({ words }) => words)).toEqual([["failed shutting-down"], ["failed shutting-down"]]);
    await closed;
    await turn();
    expect(before.words).toEqual(["settled holds"]);
    expect(second.error satisfies LockError | undefined).toMatchObject({ reason: "shutting-down" });
    expect(fold.size).toBe(1);
  });

  test("may be done twice, and by a log that was never opened", async () => {
    await log.close();
    await expect(log.close()).resolves.toBeUndefined();
    await expect(made().close()).resolves.toBeUndefined();
  });
});

describe("tokens", () => {
  test("rise over two logs that are made one after the other, though each is as busy as a process can be", async () => {
    const first = append(create(1));
    // A hundred entries in the one millisecond before the second start.
    for (let entry = 1; entry < 100; entry++) {
      append(create(entry + 1, "b"));
      await turn();
    }
    const last = fold.nextToken - 1n;
    expect(token(first)).toBeLessThan(last);
    const before = fold;
    fold = new WatchedFold();
    log = await opened(1_001);
    const later = append(create(1));
    await turn();
    expect(before.nextToken - 1n).toBe(last);
    expect(token(later)).toBeGreaterThan(last);
  });

  test("begin with the system's clock, in whole milliseconds", async () => {
    const startedUnixMs = Date.now();
    fold = new WatchedFold();
    log = createMemoryLog({ fatal: (error) => fatal.push(error) });
    await log.open(fold, { members: () => undefined, strays: () => undefined });
    const told = append(create(1));
    await turn();
    expect(token(told)).toBeGreaterThan(BigInt(startedUnixMs) * 100n * 4096n);
    expect(token(told)).toBeLessThanOrEqual((BigInt(Date.now()) * 100n + 1n) * 4096n);
    fold = new WatchedFold();
    await opened(1_000.75);
    expect(fold.base).toEqual({ level: knownLevel, revision: 100_000n, revisionOffset: 0n });
  });
});

describe("a process that is its own log", () => {
  test("is its only member as soon as it joins, and for ever", async () => {
    const told: string[] = [];
    await log.join(member, {
      joined: (memberId) => told.push(`joined ${memberId}`),
      extended: (untilMs) => told.push(`until ${untilMs}`),
      lost: () => told.push("lost"),
    });
    await log.leave();
    expect(told).toEqual(["joined memory", "until Infinity"]);
    expect(members).toEqual([[], [{ id: "memory", member: { ...member, level: knownLevel }, createRevision: 1_000n }]]);
    append(create(1));
    await turn();
    expect([...fold.tickets()].map(({ memberId }) => memberId)).toEqual(["memory"]);
  });

  test("is never behind", async () => {
    await expect(log.catchUp()).resolves.toBeUndefined();
    expect(log.lag()).toBeUndefined();
  });
});

describe("a fold that fails", () => {
  test("ends the process, and nothing is answered or written any more", async () => {
    const told = [append(create(1))];
    fold.fails = new Error("a fault in the fold");
    await turn();
    fold.fails = undefined;
    told.push(append(create(2)));
    await turn();
    expect(fatal).toEqual([new Error("a fault in the fold")]);
    expect(told.map(({ words }) => words)).toEqual([[], ["failed shutting-down"]]);
    expect(fold.entries).toHaveLength(1);
  });
});
