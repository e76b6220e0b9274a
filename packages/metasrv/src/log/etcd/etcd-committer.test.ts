import { describe, expect, test } from "@jest/globals";
import { create, read, remove, setUp, unknown, update, width } from "../../../test-support/committer-stage.js";
import { settled } from "../../../test-support/manual-clock.js";
import { id, ticketOf } from "../../../test-support/node-fixture.js";
import { gatherByEventLoop } from "../../locks/gather.js";
import type { TicketOp } from "../ticket-log.js";

/** Once the callback that is running has returned, and what it has put off till then is done. */
const afterCallback = () =>
  new Promise<void>((resolve) => {
    process.nextTick(resolve);
  });

describe("gathering", () => {
  test("what is asked for in one turn goes out together, and alone it goes flat", async () => {
    const { committer, next, runAll } = setUp();
    const first = committer.append(create(1));
    const together = [committer.append(create(1, "b")), committer.append(create(1, "c"))];
    expect(await runAll()).toEqual([3]);
    const alone = committer.append(create(2, "d"));
    const flat = await next();
    expect(flat.request.success?.[0]?.request_put).toBeDefined();
    expect(flat.request.compare).toHaveLength(2);
    flat.run();
    const results = await Promise.all([first, ...together, alone]);
    expect(results.map(({ done }) => done)).toEqual([true, true, true, true]);
    expect(results.map((result) => result.done && result.revision)).toEqual([11n, 11n, 11n, 12n]);
  });

  test("what arrives while a transaction is in flight goes out together after it", async () => {
    const { committer, next, runAll } = setUp();
    const ops = [committer.append(create(1, "a"))];
    const first = await next();
    ops.push(committer.append(create(1, "b")), committer.append(create(1, "c")));
    await settled();
    first.run();
    expect(await runAll()).toEqual([2]);
    await Promise.all(ops);
  });

  test("what arrives with an answer is not forgotten", async () => {
    const { committer, etcd, runAll } = setUp();
    const chain = committer.append(create(1)).then(() => committer.append(create(2)));
    await runAll();
    await chain;
    expect(etcd.tickets).toHaveLength(2);
  });

  test("a removal that others wait for goes out before the turn is over, and what is there goes with it", async () => {
    const { committer, arrived, runAll } = setUp({ gather: gatherByEventLoop });
    let turnOver = false;
    setImmediate(() => (turnOver = true));
    const ops = [committer.append(create(1, "b"))];
    await afterCallback();
    expect(arrived).toHaveLength(0);
    ops.push(committer.append({ ...remove(2, 5n), awaited: true } as TicketOp));
    await afterCallback();
    expect(arrived.map(width)).toEqual([2]);
    expect(turnOver).toBe(false);
    await runAll();
    await Promise.all(ops);
  });

  test("no transaction is wider than etcd takes", async () => {
    const { committer, runAll } = setUp({ maxTxnOps: 4 });
    const ops = Array.from({ length: 8 }, (_, n) => committer.append(create(n, `lock-${n}`)));
    expect(await runAll()).toEqual([2, 2, 2, 2]);
    await Promise.all(ops);
  });

  test("no transaction is larger than etcd takes", async () => {
    const { committer, runAll } = setUp({ maxTxnOps: 10_000, serverTxnOps: 10_000 });
    // Each takes some 13 kB, its long name being in its key, so about 80 of them take 1 MiB.
    const ops = Array.from({ length: 200 }, (_, n) => committer.append(create(n, `${"/".repeat(1_000)}${n}`)));
    const widths = await runAll();
    await Promise.all(ops);
    expect(widths.length).toBeGreaterThan(1);
    expect(Math.max(...widths) * 3_000).toBeLessThan(1.5 * 1024 * 1024);
    expect(widths.reduce((sum, one) => sum + one)).toBe(200);
  });
});

describe("what is in no hurry", () => {
  const unhurried = (n: number): TicketOp => ({ ...create(n, `busy-${n}`), willWait: true }) as TicketOp;

  test("goes out with the next that is in a hurry", async () => {
    const { committer, arrived, runAll } = setUp();
    const ops = [committer.append(unhurried(1))];
    await settled();
    expect(arrived).toHaveLength(0);
    ops.push(committer.append(create(2, "b")));
    expect(await runAll()).toEqual([2]);
    await Promise.all(ops);
  });

  test("goes out alone when none comes soon", async () => {
    const { committer, arrived, clock, runAll } = setUp();
    const ops = [committer.append(unhurried(1)), committer.append(unhurried(2))];
    await clock.advance(1);
    expect(arrived).toHaveLength(0);
    await clock.advance(1);
    expect(await runAll()).toEqual([2]);
    await Promise.all(ops);
  });

  test("has all its time, also after others have found company", async () => {
    const { committer, arrived, clock, runAll } = setUp();
    const ops = [committer.append(unhurried(1))];
    await clock.advance(1);
    ops.push(committer.append(create(2, "b")));
    expect(await runAll()).toEqual([2]);
    ops.push(committer.append(unhurried(3)));
    await clock.advance(1);
    expect(arrived).toHaveLength(0);
    await clock.advance(1);
    expect(await runAll()).toEqual([1]);
    await Promise.all(ops);
  });

  test("goes out alone with all that follow it, one after the other", async () => {
    const { committer, clock, runAll } = setUp();
    const ops = Array.from({ length: 20 }, (_, n) => committer.append({ ...create(n), willWait: true } as TicketOp));
    await clock.advance(1);
    expect(await runAll()).toEqual([]);
    await clock.advance(1);
    expect(await runAll()).toEqual(ops.map(() => 1));
    await Promise.all(ops);
  });

  test("goes out at once when it is many", async () => {
    const { committer, runAll } = setUp();
    const ops = Array.from({ length: 16 }, (_, n) => committer.append(unhurried(n)));
    expect(await runAll()).toEqual([16]);
    await Promise.all(ops);
  });
});

describe("a creation that nobody wants any more", () => {
  function wanted(n: number) {
    const request = { wanted: true };
    return { request, op: { ...create(n), wanted: () => request.wanted } as TicketOp };
  }

  test("does not go out, nor do those that waited for it and are not wanted either", async () => {
    const { committer, etcd, next, runAll } = setUp();
    const requests = [1, 2, 3, 4, 5].map(wanted);
    const answers = requests.map(({ op }) => committer.append(op));
    const first = await next();
    for (const { request } of requests.slice(0, 4)) {
      request.wanted = false;
    }
    first.run();
    expect(await runAll()).toEqual([1]);
    const results = await Promise.all(answers);
    expect(results.map(({ done }) => done)).toEqual([true, false, false, false, true]);
    expect(etcd.tickets).toHaveLength(2);
  });

  test("does not keep what waited for it, and is in no hurry, from going out", async () => {
    const { committer, clock, runAll } = setUp();
    const { request, op } = wanted(1);
    const unwanted = committer.append(op);
    const follower = committer.append({ ...create(2), willWait: true } as TicketOp);
    request.wanted = false;
    await clock.advance(2);
    expect(await runAll()).toEqual([1]);
    expect([(await unwanted).done, (await follower).done]).toEqual([false, true]);
  });

  test("is tried until its outcome is known once it went out", async () => {
    const { committer, next, runAll } = setUp();
    const { request, op } = wanted(1);
    const answer = committer.append(op);
    const first = await next();
    request.wanted = false;
    first.runLost();
    await next().then((again) => {
      again.run();
    });
    expect(await runAll()).toEqual([]);
    expect((await answer).done).toBe(true);
  });
});

describe("what a transaction changed is told", () => {
  test("with its revision, before the answers", async () => {
    const { committer, committed, runAll } = setUp();
    const seen: unknown[] = [];
    const ops = [create(1, "a"), create(2, "b")];
    const answers = ops.map((op) =>
      committer.append(op).then(() => {
        seen.push(...committed);
      }),
    );
    await runAll();
    await Promise.all(answers);
    expect(seen[0]).toEqual([11n, ops]);
  });

  test("without the ops whose conditions did not hold", async () => {
    const { committer, committed, runAll } = setUp();
    const ops = [create(1, "a"), remove(2, 5n, "b"), create(3, "c", true)];
    const answers = ops.map((op) => committer.append(op));
    await runAll();
    await Promise.all(answers);
    expect(committed).toEqual([[11n, [ops[0], ops[2]]]]);
  });

  test("not at all when there was none", async () => {
    const { committer, committed, runAll } = setUp();
    const answer = committer.append(remove(2, 5n));
    await runAll();
    await answer;
    expect(committed).toEqual([]);
  });
});

describe("the form of a transaction", () => {
  test("is flat where every condition is likely to hold", async () => {
    const { committer, next, etcd } = setUp();
    const ops = [committer.append(create(1)), committer.append(create(2, "b"))];
    const txn = await next();
    expect(txn.request.success?.map(({ request_put }) => request_put !== undefined)).toEqual([true, true]);
    txn.run();
    expect(await Promise.all(ops)).toEqual([
      { done: true, revision: 11n },
      { done: true, revision: 11n },
    ]);
    expect(etcd.tickets).toHaveLength(2);
  });

  test("is nested once a condition did not hold after all: that op alone is not done", async () => {
    const { committer, runAll, etcd } = setUp();
    await Promise.all([committer.append(create(1)), runAll()]);
    const ops = [update(1, 10n), create(1, "b"), remove(7, 5n, "c")].map((op) => committer.append(op));
    expect(await runAll()).toEqual([3, 3]);
    expect(await Promise.all(ops)).toMatchObject([
      { done: false, existing: { modRevision: 11n } },
      { done: true },
      { done: false, existing: undefined },
    ]);
    expect(etcd.tickets).toHaveLength(2);
  });

  test("is nested from the start where a condition may well not hold", async () => {
    const { committer, next, runAll } = setUp();
    const ops = [committer.append(create(1, "a", true)), committer.append(create(1, "b"))];
    const txn = await next();
    expect(txn.request.success?.every(({ request_txn }) => request_txn !== undefined)).toBe(true);
    txn.run();
    await runAll();
    expect(await Promise.all(ops)).toMatchObject([{ done: true }, { done: true }]);
  });
});

describe("several transactions in flight", () => {
  test("what has just missed one does not wait for it", async () => {
    const { committer, next, arrived } = setUp({ maxInFlight: 2 });
    const ops = [committer.append(create(1, "a"))];
    const first = await next();
    ops.push(committer.append(create(1, "b")));
    const second = await next();
    ops.push(committer.append(create(1, "c")), committer.append(create(1, "d")));
    await settled();
    expect(arrived).toEqual([]);
    second.run();
    const third = await next();
    expect(width(third)).toBe(2);
    third.run();
    first.run();
    const revisions = (await Promise.all(ops)).map((result) => result.done && result.revision);
    expect(revisions).toEqual([13n, 11n, 12n, 12n]);
  });

  test("a ticket's ops and a name's creations still wait for one another", async () => {
    const { committer, next, arrived, runAll } = setUp({ maxInFlight: 4 });
    const ops = [create(1), create(2), update(1, 11n)].map((op) => committer.append(op));
    const first = await next();
    await settled();
    expect([width(first), arrived]).toEqual([1, []]);
    first.run();
    expect(await runAll()).toEqual([2]);
    expect((await Promise.all(ops)).map(({ done }) => done)).toEqual([true, true, true]);
  });

  test("one that fails holds the next back for a pause, and not the others in flight", async () => {
    const { committer, clock, next, arrived, runAll } = setUp({ maxInFlight: 2 });
    const ops = [committer.append(create(1, "a"))];
    const first = await next();
    ops.push(committer.append(create(1, "b")));
    const second = await next();
    first.fail(unknown);
    await settled();
    ops.push(committer.append(create(1, "c")));
    second.run();
    await expect(ops[1]).resolves.toMatchObject({ done: true });
    await settled();
    expect(arrived).toEqual([]);
    await clock.advance(1_000);
    expect(await runAll()).toEqual([2]);
    expect((await Promise.all(ops)).map(({ done }) => done)).toEqual([true, true, true]);
  });
});

describe("what must not share a transaction", () => {
  test("two creations for one name: each gets a revision of its own, in the order asked for", async () => {
    const { committer, runAll } = setUp();
    const ops = [1, 2, 3].map((n) => committer.append(create(n)));
    expect(await runAll()).toEqual([1, 1, 1]);
    const revisions = (await Promise.all(ops)).map((result) => (result.done ? result.revision : 0n));
    expect(revisions).toEqual([11n, 12n, 13n]);
  });

  test("of two that want a free lock, one gets it", async () => {
    const { committer, runAll } = setUp();
    const ops = [1, 2].map((n) => committer.append(create(n, "a", true)));
    await runAll();
    expect((await Promise.all(ops)).map(({ done }) => done)).toEqual([true, false]);
  });

  test("two ops on one ticket: each sees what the one before it did", async () => {
    const { committer, etcd, runAll } = setUp();
    const ops = [create(1), update(1, 11n), update(1, 11n), remove(1, 11n), create(1)].map((op) =>
      committer.append(op),
    );
    expect(await runAll()).toEqual([1, 1, 1, 1, 1]);
    expect((await Promise.all(ops)).map(({ done }) => done)).toEqual([true, true, false, true, true]);
    expect(etcd.tickets).toHaveLength(1);
  });

  test("others go past those that must wait", async () => {
    const { committer, runAll } = setUp();
    const ops = [create(1), create(2), create(3), create(1, "b"), create(1, "c")].map((op) => committer.append(op));
    expect(await runAll()).toEqual([3, 1, 1]);
    await Promise.all(ops);
  });

  test("a ticket's op that also creates waits for both that must come before it", async () => {
    const { committer, runAll } = setUp();
    await Promise.all([committer.append(create(1)), runAll()]);
    const ops = [remove(1, 11n), create(2), create(1)].map((op) => committer.append(op));
    expect(await runAll()).toEqual([2, 1]);
    expect((await Promise.all(ops)).map((result) => result.done && result.revision)).toEqual([12n, 12n, 13n]);
  });
});

describe("answers", () => {
  test("an op whose condition does not hold says how the ticket stands", async () => {
    const { committer, runAll } = setUp();
    const ops = [create(1), create(1), update(1, 1n), remove(1, 1n), read(1), read(2), update(2, 5n)].map((op) =>
      committer.append(op),
    );
    await runAll();
    const existing = { name: "a", id: id(1), ticket: ticketOf("m1"), createRevision: 11n, modRevision: 11n };
    const here = expect.objectContaining(existing);
    expect(await Promise.all(ops)).toEqual([
      { done: true, revision: 11n },
      { done: false, existing: here },
      { done: false, existing: here },
      { done: false, existing: here },
      { done: false, existing: here },
      { done: false, existing: undefined },
      { done: false, existing: undefined },
    ]);
  });
});
