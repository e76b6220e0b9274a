import { describe, expect, test } from "@jest/globals";
import {
  create,
  kinds,
  noSpace,
  read,
  remove,
  setUp,
  unknown,
  update,
  width,
} from "../../../test-support/committer-stage.js";
import { settled } from "../../../test-support/manual-clock.js";
import { id, lock } from "../../../test-support/node-fixture.js";
import { EtcdKeys } from "./etcd-keys.js";
import { txnOfOp } from "./etcd-op.js";

describe("an unknown outcome", () => {
  test.each(["took effect", "had no effect"])("is settled when the attempt %s", async (what) => {
    const { committer, next, runAll, etcd } = setUp();
    await Promise.all([committer.append(create(1)), committer.append(create(1, "b")), runAll()]);
    const ops = [create(1, "c"), update(1, 11n), remove(1, 11n, "b")].map((op) => committer.append(op));
    const lost = await next();
    if (what === "took effect") {
      lost.runLost();
    } else {
      lost.fail(unknown);
    }
    (await next()).run();
    const results = await Promise.all(ops);
    expect(results.map(({ done }) => done)).toEqual([true, true, true]);
    expect(results.slice(0, 2).map((result) => result.done && result.revision)).toEqual([12n, 12n]);
    expect(etcd.tickets.map((key) => key.split("/")[2])).toEqual(["a", "c"]);
  });

  test("of a creation is not settled by another member's ticket", async () => {
    const { committer, next, etcd, memberJoins } = setUp();
    const op = committer.append(create(1));
    (await next()).fail(unknown);
    memberJoins("m2");
    etcd.execute(txnOfOp(new EtcdKeys("p"), create(1, "a", false, "m2")));
    (await next()).run();
    await expect(op).resolves.toMatchObject({ done: false, existing: { ticket: { memberId: "m2" } } });
  });

  test("of a renewal is not settled by a ticket of the same id that was created anew since", async () => {
    const { committer, next, runAll, etcd } = setUp();
    await Promise.all([committer.append(create(1)), runAll()]);
    const op = committer.append(update(1, 11n, "a", 10_000));
    (await next()).fail(unknown);
    for (const elsewhere of [remove(1, 11n), create(1)]) {
      etcd.execute(txnOfOp(new EtcdKeys("p"), elsewhere));
    }
    (await next()).run();
    await expect(op).resolves.toMatchObject({ done: false, existing: { createRevision: 13n } });
  });

  test("of a removal is not taken for done when the ticket stands, changed", async () => {
    const { committer, next, runAll, etcd } = setUp();
    await Promise.all([committer.append(create(1)), runAll()]);
    const op = committer.append({ kind: "delete", name: lock("a"), id: id(1), condition: { modRevision: 11n } });
    (await next()).fail(unknown);
    etcd.execute(txnOfOp(new EtcdKeys("p"), update(1, 11n)));
    (await next()).run();
    await expect(op).resolves.toMatchObject({ done: false, existing: { modRevision: 12n } });
  });

  test("keeps the order of a ticket's ops", async () => {
    const { committer, next, runAll, etcd } = setUp();
    const ops = [create(1), remove(1, 11n), create(1)].map((op) => committer.append(op));
    (await next()).runLost();
    await settled();
    (await next()).run();
    expect(await runAll()).toEqual([1, 1]);
    expect((await Promise.all(ops)).map(({ done }) => done)).toEqual([true, true, true]);
    expect(etcd.tickets).toHaveLength(1);
  });
});

describe("a deadline", () => {
  test("rejects all that are overdue, also those that were never sent, and no others", async () => {
    const { committer, clock, arrived, next } = setUp();
    const overdue = [create(1), create(2), remove(1, 5n), create(1, "b")].map((op) => committer.append(op));
    const outcomes = Promise.allSettled(overdue);
    const first = await next();
    await clock.advance(9_000);
    const young = committer.append(create(1, "c"));
    await clock.advance(1_000);
    first.fail(unknown);
    for (const outcome of await outcomes) {
      const message: unknown = expect.stringContaining("h:1");
      expect(outcome).toMatchObject({ status: "rejected", reason: { reason: "store-unavailable", message } });
    }
    const second = await next();
    expect(width(second)).toBe(1);
    second.run();
    await expect(young).resolves.toMatchObject({ done: true });
    await settled();
    expect(arrived).toEqual([]);
  });

  test("that has not come: the op is tried again and again", async () => {
    const { committer, next } = setUp();
    const op = committer.append(create(1));
    for (let attempt = 0; attempt < 5; attempt++) {
      (await next()).fail(unknown);
    }
    (await next()).run();
    await expect(op).resolves.toMatchObject({ done: true });
  });
});

describe("etcd out of space", () => {
  test("rejects writes at once, and still sends removals and reads", async () => {
    const { committer, next, runAll, etcd } = setUp();
    await Promise.all([committer.append(create(1)), committer.append(create(1, "b")), runAll()]);
    const writes = [committer.append(create(2, "c")), committer.append(update(1, 11n))];
    const others = [committer.append(remove(1, 11n, "b")), committer.append(read(1, "a"))];
    const rejected = Promise.allSettled(writes);
    (await next()).fail(noSpace);
    for (const outcome of await rejected) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { reason: "store-full" } });
    }
    let attempts = 0;
    while (etcd.tickets.length > 1) {
      const attempt = await next();
      expect(kinds(attempt)).not.toContain("put");
      attempt.run();
      attempts++;
      await settled();
    }
    expect(attempts).toBeLessThan(3);
    await runAll();
    await expect(Promise.all(others)).resolves.toMatchObject([{ done: true }, { done: false }]);
  });

  test("does not claim that nothing was changed when an earlier attempt may have taken effect", async () => {
    const { committer, next, etcd } = setUp();
    const op = committer.append(create(1));
    const outcome = Promise.allSettled([op]);
    (await next()).runLost();
    (await next()).fail(noSpace);
    await settled();
    expect(etcd.tickets).toHaveLength(1);
    const [result] = await outcome;
    expect(result).not.toMatchObject({ reason: { reason: "store-full" } });
  });
});

describe("a transaction that etcd finds too large", () => {
  test("is halved until it fits, and those after it are no wider", async () => {
    const { committer, next, runAll } = setUp({ maxTxnOps: 100, serverTxnOps: 6 });
    const ops = Array.from({ length: 16 }, (_, n) => committer.append(create(n, `lock-${n}`)));
    const widths: number[] = [];
    for (let left = 16; left > 0;) {
      const txn = await next();
      widths.push(width(txn));
      txn.run();
      left -= width(txn) <= 5 ? width(txn) : 0;
    }
    expect(widths).toEqual([16, 8, 4, 4, 4, 4]);
    expect(await runAll()).toEqual([]);
    expect((await Promise.all(ops)).map(({ done }) => done)).toEqual(Array<boolean>(16).fill(true));
  });

  test("though it carries one op alone: that is rejected, and the others go on", async () => {
    const { committer, next } = setUp();
    const op = committer.append(create(1));
    const outcome = Promise.allSettled([op]);
    (await next()).fail(new Error("etcdserver: request is too large"));
    expect(await outcome).toMatchObject([{ status: "rejected", reason: { reason: "store-unavailable" } }]);
    const after = committer.append(create(2));
    (await next()).run();
    await expect(after).resolves.toMatchObject({ done: true });
  });
});

describe("one op that cannot be sent", () => {
  test("does not take the others with it", async () => {
    const { committer, arrived, clock } = setUp();
    const bad = committer.append(update(1, 5n, "a", 10.5));
    const good = committer.append(create(1, "b"));
    const outcomes = Promise.allSettled([bad, good]);
    for (let turn = 0; turn < 40; turn++) {
      await clock.advance(500);
      arrived.shift()?.run();
    }
    expect(await outcomes).toMatchObject([{ status: "rejected" }, { status: "fulfilled" }]);
  });
});

describe("closing", () => {
  test("rejects what is not settled, and everything from then on", async () => {
    const { committer, next, arrived, clock } = setUp();
    const ops = [create(1), create(2), remove(1, 5n), create(1, "b")].map((op) => committer.append(op));
    const outcomes = Promise.allSettled(ops);
    const inFlight = await next();
    committer.close();
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { reason: "shutting-down" } });
    }
    await expect(committer.append(create(3))).rejects.toMatchObject({ reason: "shutting-down" });
    inFlight.run();
    await clock.advance(60_000);
    expect([arrived, clock.timers]).toEqual([[], 0]);
  });

  test("ends a pause between attempts", async () => {
    const { committer, next, arrived, clock } = setUp();
    const outcome = Promise.allSettled([committer.append(create(1))]);
    (await next()).fail(unknown);
    await settled();
    committer.close();
    await outcome;
    await settled();
    expect([arrived, clock.timers]).toEqual([[], 0]);
  });
});
