import { describe, expect, test } from "@jest/globals";
import { settled } from "../../test-support/manual-clock.js";
import { id, lock, orders, ticketOf } from "../../test-support/node-fixture.js";
import { createMemoryTicketLog } from "./memory-ticket-log.js";
import type { LogEvent, TicketLog, TicketOp } from "./ticket-log.js";

const member = { address: "127.0.0.1:3002", version: "0.0.0", startedUnixMs: 0 };
const ticket = ticketOf("memory");

/** An open log, and everything it delivers: each batch as a list, after which comes who was answered before it. */
async function opened(): Promise<{ log: TicketLog; batches: (readonly LogEvent[])[]; listings: number[] }> {
  const log = createMemoryTicketLog({ firstRevision: 100n });
  const batches: (readonly LogEvent[])[] = [];
  const listings: number[] = [];
  await log.open({
    reset: ({ tickets, members }) => listings.push(tickets.length + members.length),
    apply: (events) => batches.push(events),
  });
  return { log, batches, listings };
}

function create(n: number, name = orders, onlyIfFree = false): TicketOp {
  return { kind: "create", name, id: id(n), ticket, onlyIfFree };
}

describe("delivery", () => {
  test("begins with an empty listing", async () => {
    const { listings, batches } = await opened();
    expect([listings, batches]).toEqual([[0], []]);
  });

  test("tells of changes in order, those of one turn together, and before their answers", async () => {
    const { log, batches } = await opened();
    const answers = [log.append(create(1)), log.append(create(2)), log.append(create(1, lock("b")))].map((answer) =>
      answer.then(() => batches.length),
    );
    expect(batches).toEqual([]);
    expect(await Promise.all(answers)).toEqual([1, 1, 1]);
    expect(batches).toEqual([
      [
        { kind: "ticket-put", name: orders, id: id(1), ticket, createRevision: 101n, modRevision: 101n },
        { kind: "ticket-put", name: orders, id: id(2), ticket, createRevision: 102n, modRevision: 102n },
        { kind: "ticket-put", name: lock("b"), id: id(1), ticket, createRevision: 103n, modRevision: 103n },
      ],
    ]);
  });

  test("says nothing of ops that change nothing", async () => {
    const { log, batches } = await opened();
    await log.append({ kind: "read", name: orders, id: id(1) });
    await log.append({ kind: "delete", name: orders, id: id(1), condition: { modRevision: 1n } });
    expect(batches).toEqual([]);
  });
});

describe("an op", () => {
  test("creates a ticket that is not there", async () => {
    const { log } = await opened();
    await expect(log.append(create(1))).resolves.toEqual({ done: true, revision: 101n });
    await expect(log.append(create(1))).resolves.toMatchObject({ done: false, existing: { createRevision: 101n } });
  });

  test("creates a ticket only if the lock is free, if asked to", async () => {
    const { log } = await opened();
    await expect(log.append(create(1, orders, true))).resolves.toMatchObject({ done: true });
    await expect(log.append(create(2, orders, true))).resolves.toEqual({ done: false, existing: undefined });
    await expect(log.append(create(1, orders, true))).resolves.toMatchObject({ done: false, existing: { id: id(1) } });
    await expect(log.append(create(2, lock("b"), true))).resolves.toMatchObject({ done: true });
    await log.append({ kind: "delete", name: orders, id: id(1), condition: { createRevision: 101n } });
    await expect(log.append(create(2, orders, true))).resolves.toMatchObject({ done: true });
  });

  test("changes a ticket that nobody else has changed, and leaves its place", async () => {
    const { log, batches } = await opened();
    const update: TicketOp = {
      kind: "update",
      name: orders,
      id: id(1),
      ticket,
      createRevision: 101n,
      modRevision: 101n,
    };
    await expect(log.append(update)).resolves.toEqual({ done: false, existing: undefined });
    await log.append(create(1));
    await expect(log.append(update)).resolves.toEqual({ done: true, revision: 102n });
    expect(batches.at(-1)).toMatchObject([{ createRevision: 101n, modRevision: 102n }]);
    await expect(log.append(update)).resolves.toMatchObject({ done: false, existing: { modRevision: 102n } });
  });

  test("removes a ticket by the revision of its creation or of its last change", async () => {
    const { log, batches } = await opened();
    const remove = (condition: Extract<TicketOp, { kind: "delete" }>["condition"]) =>
      log.append({ kind: "delete", name: orders, id: id(1), condition });
    await log.append(create(1));
    await log.append({ kind: "update", name: orders, id: id(1), ticket, createRevision: 101n, modRevision: 101n });
    await expect(remove({ modRevision: 101n })).resolves.toMatchObject({ done: false });
    await expect(remove({ createRevision: 102n })).resolves.toMatchObject({ done: false });
    await expect(remove({ createRevision: 101n })).resolves.toEqual({ done: true, revision: 103n });
    expect(batches.at(-1)).toEqual([{ kind: "ticket-deleted", name: orders, id: id(1) }]);
    await expect(remove({ createRevision: 101n })).resolves.toEqual({ done: false, existing: undefined });
    await log.append(create(1));
    await expect(remove({ createRevision: 101n })).resolves.toMatchObject({ done: false });
    await expect(remove({ modRevision: 104n })).resolves.toMatchObject({ done: true });
  });

  test("reads how a ticket stands", async () => {
    const { log } = await opened();
    await log.append(create(1));
    await expect(log.append({ kind: "read", name: orders, id: id(1) })).resolves.toMatchObject({
      done: false,
      existing: { id: id(1), modRevision: 101n },
    });
    await expect(log.append({ kind: "read", name: orders, id: id(2) })).resolves.toEqual({
      done: false,
      existing: undefined,
    });
  });

  test("asked for with others in one turn sees what those before it did", async () => {
    const { log } = await opened();
    const results = await Promise.all([
      log.append(create(1)),
      log.append({ kind: "delete", name: orders, id: id(1), condition: { createRevision: 101n } }),
      log.append(create(2, orders, true)),
      log.append(create(3, orders, true)),
    ]);
    expect(results.map(({ done }) => done)).toEqual([true, true, true, false]);
  });
});

describe("membership", () => {
  test("is one member, for ever", async () => {
    const { log, batches } = await opened();
    const told: unknown[] = [];
    await log.join(member, {
      joined: (memberId) => told.push(memberId),
      extended: (aliveUntilMs) => told.push(aliveUntilMs),
      lost: () => told.push("lost"),
    });
    expect(told).toEqual(["memory", Number.POSITIVE_INFINITY]);
    expect(batches).toEqual([[{ kind: "member-put", id: "memory", member, createRevision: 101n }]]);
    await log.leave();
    expect(told).toHaveLength(2);
  });
});

test("revisions start from the clock, so that tokens rise across restarts", async () => {
  const before = BigInt(Date.now()) * 1000n;
  const log = createMemoryTicketLog();
  await log.open({ reset: () => undefined, apply: () => undefined });
  const result = await log.append(create(1));
  expect(result.done && result.revision > before).toBe(true);
  await log.close();
});

test("closing rejects what is not committed, and everything from then on", async () => {
  const { log, batches } = await opened();
  const pending = log.append(create(1));
  await log.close();
  await expect(pending).rejects.toMatchObject({ reason: "shutting-down" });
  await expect(log.append(create(2))).rejects.toMatchObject({ reason: "shutting-down" });
  await settled();
  expect(batches).toEqual([]);
});
