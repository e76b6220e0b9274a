import { describe, expect, test } from "@jest/globals";
import { settled } from "@metasrv/wire/testing";
import { type Arrived, CommitterStage } from "../../../test-support/committer-stage.js";
import { noAnswer, refusal } from "../../../test-support/fake-etcd.js";
import { create, release } from "../../../test-support/told.js";
import { commandsPerEntry } from "../../model/command.js";

const { memberId } = CommitterStage;

function joined(options?: ConstructorParameters<typeof CommitterStage>[0]): CommitterStage {
  const stage = new CommitterStage(options);
  stage.join();
  return stage;
}

/** Once the callback that is running has returned, and what it has put off till then is done. */
const afterCallback = () =>
  new Promise<void>((resolve) => {
    process.nextTick(resolve);
  });

describe("group commit", () => {
  test("what is asked for in one turn goes out in one entry, and each is told its own outcome", async () => {
    const stage = joined();
    const told = [create(1), create(2), create(3, "b"), create(4, "b", { try: true })].map((one) => stage.append(one));
    await settled();
    expect(stage.sizes).toEqual([4]);
    expect(told.map(({ words }) => words)).toEqual([
      ["settled holds"],
      ["settled waits"],
      ["settled holds"],
      ["settled refused"],
    ]);
  });

  test("as many entries are under way as may be, and what comes meanwhile goes out together after them", async () => {
    const stage = joined({ maxInFlight: 2 });
    stage.hold();
    const told = [stage.append(create(1))];
    const first = await stage.next();
    told.push(stage.append(create(2, "b")));
    const second = await stage.next();
    told.push(stage.append(create(3, "c")), stage.append(create(4, "d")));
    await settled();
    expect(stage.arrived).toEqual([]);
    await second.answer();
    const third = await stage.next();
    expect(third.entry.commands).toHaveLength(2);
    await first.answer();
    await third.answer();
    expect(told.map(({ words }) => words)).toEqual(told.map(() => ["settled holds"]));
    expect([first, second, third].map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
  });

  test("what others wait for goes out before the turn is over, and what is there goes with it", async () => {
    const stage = joined();
    let turnOver = false;
    setImmediate(() => (turnOver = true));
    stage.hold();
    stage.append(create(1, "b"));
    await afterCallback();
    expect(stage.arrived).toEqual([]);
    stage.append(release(2, 5n), "now");
    await afterCallback();
    expect(stage.arrived.map(({ entry }) => entry.commands.length)).toEqual([2]);
    expect(turnOver).toBe(false);
  });

  test("what is in no hurry goes out with the next that is", async () => {
    const stage = joined();
    stage.append(create(1), "later");
    await settled();
    expect(stage.sizes).toEqual([]);
    stage.append(create(2));
    await settled();
    expect(stage.sizes).toEqual([2]);
  });

  test("what is in no hurry goes out after two milliseconds when none comes", async () => {
    const stage = joined();
    stage.append(create(1), "later");
    stage.append(create(2), "later");
    await stage.clock.advance(1);
    expect(stage.sizes).toEqual([]);
    await stage.clock.advance(1);
    await settled();
    expect(stage.sizes).toEqual([2]);
  });

  test("what is in no hurry goes out at once when it is many", async () => {
    const stage = joined();
    for (let n = 0; n < 16; n++) {
      stage.append(create(n), "later");
    }
    await settled();
    expect(stage.sizes).toEqual([16]);
  });

  test("no entry has more commands than tokens have places", async () => {
    const stage = joined();
    const told = Array.from({ length: commandsPerEntry + 1 }, (_, n) => stage.append(create(n, `lock-${n}`)));
    await settled();
    expect(stage.sizes).toEqual([commandsPerEntry, 1]);
    expect(new Set(told.map(({ outcome }) => outcome?.kind === "holds" && outcome.token)).size).toBe(told.length);
  });

  test("no entry is larger than etcd takes", async () => {
    const stage = joined();
    const owner = "x".repeat(250);
    // Some 5 kB each, so that 500 of them take more than 2 MiB.
    const told = Array.from({ length: 500 }, (_, n) =>
      stage.append(create(n, `${"/".repeat(5_000)}${n}`, { owner: `${owner}${n}` })),
    );
    await settled();
    expect(stage.entries.length).toBeGreaterThan(1);
    for (const { entry } of stage.committed) {
      expect(entry.value.length).toBeLessThan(1.5 * 1024 * 1024);
    }
    expect(told.every(({ words }) => words.join() === "settled holds")).toBe(true);
  });
});

describe("an entry", () => {
  test("is written once though its answer is lost: it is found where the first attempt put it", async () => {
    const stage = joined();
    stage.hold();
    const told = stage.append(create(1));
    await (await stage.next()).loseAnswer();
    const { revision } = stage.etcd;
    await stage.clock.advance(200);
    await (await stage.next()).answer();
    expect(told.words).toEqual(["settled holds"]);
    expect(stage.committed.map(({ revision: at }) => at)).toEqual([revision]);
    expect(stage.etcd.revision).toBe(revision);
  });

  test("is written again when the request itself was lost", async () => {
    const stage = joined();
    stage.hold();
    const told = stage.append(create(1));
    await (await stage.next()).fail();
    await stage.clock.advance(200);
    const again = await stage.next();
    expect(again.sequence).toBe(1);
    await again.answer();
    expect(told.words).toEqual(["settled holds"]);
    expect(stage.sizes).toEqual([1]);
  });

  test("shows its writer's table, but not when it is written again: the store may be another one by then", async () => {
    const seen = { revision: 7n, low: 1, high: 2 };
    const stage = joined({ state: () => ({ level: 1, seen }) });
    stage.hold();
    stage.append(create(1));
    const first = await stage.next();
    expect(first.entry.seen).toEqual(seen);
    await first.fail();
    await stage.clock.advance(200);
    expect((await stage.next()).entry.seen).toBeUndefined();
  });

  test("keeps other entries back while it fails, and those go out together when it is in the log", async () => {
    const stage = joined();
    stage.hold();
    stage.append(create(1));
    const failing = await stage.next();
    await failing.fail();
    stage.append(create(2, "b"));
    await settled();
    stage.append(create(3, "c"));
    await settled();
    expect(stage.arrived).toEqual([]);
    await stage.clock.advance(200);
    await (await stage.next()).answer();
    expect((await stage.next()).entry.commands).toHaveLength(2);
  });

  test("says up to which entry its writer knows all outcomes", async () => {
    const stage = joined();
    stage.hold();
    const arrived: Arrived[] = [];
    for (const lock of ["a", "b", "c"]) {
      stage.append(create(arrived.length, lock));
      arrived.push(await stage.next());
    }
    expect(arrived.map(({ entry }) => entry.settled)).toEqual([0, 0, 0]);
    await arrived[1]?.answer();
    stage.append(create(10, "d"));
    const beyondGap = await stage.next();
    expect(beyondGap.entry.settled).toBe(0);
    await arrived[0]?.answer();
    stage.append(create(11, "e"));
    expect((await stage.next()).entry.settled).toBe(2);
  });

  test("is settled by the log when its answer never comes, and is not written any more", async () => {
    const stage = joined();
    stage.hold();
    const told = stage.append(create(1));
    const [first] = [await stage.next()];
    await first.loseAnswer();
    const under = stage.committer.find(memberId, 1);
    expect(under).toBeDefined();
    if (under !== undefined) {
      stage.settle(under, stage.etcd.revision);
    }
    expect(told.words).toEqual(["settled holds"]);
    await stage.clock.advance(10_000);
    expect(stage.arrived).toEqual([]);
  });

  test("is settled by a listing that has it", async () => {
    const stage = joined();
    stage.hold();
    const told = [stage.append(create(1)), stage.append(create(2))];
    await (await stage.next()).loseAnswer();
    const there = [{ kind: "holds", token: 1n, moved: false }, { kind: "refused" }] as const;
    stage.committer.listed(new Set([memberId]), stage.etcd.revision, () => there);
    expect(told.map(({ words }) => words)).toEqual([["settled holds"], ["settled refused"]]);
  });
});

describe("an etcd that is full", () => {
  const full = refusal("mvcc: database space exceeded");

  test("fails what it has refused, and takes the next", async () => {
    const stage = joined();
    stage.hold();
    const told = stage.append(create(1));
    await (await stage.next()).fail(full);
    expect(told.words).toEqual(["failed store-full"]);
    expect(told.error?.message).toContain("NOSPACE");
    const later = stage.append(create(2));
    await stage.clock.advance(200);
    await (await stage.next()).answer();
    expect(later.words).toEqual(["settled holds"]);
  });

  test("does not fail an entry of which an earlier attempt may have taken effect", async () => {
    const stage = joined();
    stage.hold();
    const told = stage.append(create(1));
    await (await stage.next()).loseAnswer();
    await stage.clock.advance(200);
    await (await stage.next()).fail(full);
    expect(told.words).toEqual([]);
    await stage.clock.advance(500);
    await (await stage.next()).answer();
    expect(told.words).toEqual(["settled holds"]);
  });
});

describe("an etcd that takes less at a time", () => {
  const tooLarge = refusal("request is too large");

  test("gets smaller entries, and everything is done", async () => {
    const stage = joined();
    stage.etcd.behaviour = async (call, run) => {
      await Promise.resolve();
      if (call.kind === "txn" && call.txn.success.some((op) => op.kind === "put" && op.value.length > 1_000)) {
        throw tooLarge;
      }
      return run();
    };
    const told = Array.from({ length: 50 }, (_, n) => stage.append(create(n, `${"x".repeat(100)}${n}`)));
    for (let turn = 0; turn < 50; turn++) {
      await settled();
    }
    expect(told.every(({ words }) => words.join() === "settled holds")).toBe(true);
    expect(stage.entries.length).toBeGreaterThan(5);
  });

  test("fails a command that is too large alone", async () => {
    const stage = joined();
    stage.hold();
    const told = stage.append(create(1));
    await (await stage.next()).fail(tooLarge);
    expect(told.words).toEqual(["failed store-unavailable"]);
  });
});

describe("the time that a command is given", () => {
  test("ends with the news that its outcome is not known, once, and the outcome follows", async () => {
    const stage = joined();
    stage.hold();
    const told = stage.append(create(1));
    await (await stage.next()).fail();
    for (let second = 0; second < 6; second++) {
      await stage.clock.advance(1_000);
      await (await stage.next()).fail(noAnswer());
    }
    expect(told.words).toEqual(["overdue store-unavailable"]);
    await stage.clock.advance(1_000);
    await (await stage.next()).answer();
    expect(told.words).toEqual(["overdue store-unavailable", "settled holds"]);
  });

  test("fails what has not set out by then", async () => {
    const stage = joined({ maxInFlight: 1 });
    stage.hold();
    stage.append(create(1));
    const first = await stage.next();
    const queued = stage.append(create(2));
    await stage.clock.advance(5_000);
    await first.fail();
    expect(queued.words).toEqual(["failed store-unavailable"]);
    await stage.clock.advance(1_000);
    await (await stage.next()).answer();
    await settled();
    expect(stage.arrived).toEqual([]);
  });
});

describe("a member", () => {
  test("that is none yet writes nothing: what is asked for fails, after the call", async () => {
    const stage = new CommitterStage();
    const told = stage.append(create(1));
    expect(told.words).toEqual([]);
    await settled();
    expect(told.words).toEqual(["failed not-a-member"]);
  });

  test("whose key is gone writes nothing, says so, and fails what is under way once the log is past its end", async () => {
    const stage = joined();
    stage.etcd.remove(stage.keys.member(memberId));
    const told = stage.append(create(1));
    await settled();
    expect(stage.sizes).toEqual([]);
    expect(stage.gone).toEqual([memberId]);
    expect(told.words).toEqual([]);
    stage.committer.memberGone(memberId);
    expect(told.words).toEqual(["failed not-a-member"]);
  });

  test("that is lost fails what has not set out; what has is settled by the log", async () => {
    const stage = joined({ maxInFlight: 1 });
    stage.hold();
    const sent = stage.append(create(1));
    const first = await stage.next();
    const queued = stage.append(create(2));
    stage.committer.left();
    expect(queued.words).toEqual(["failed not-a-member"]);
    await first.loseAnswer();
    await stage.clock.advance(200);
    await (await stage.next()).answer();
    expect(sent.words).toEqual(["settled holds"]);
  });

  test("begins anew with its first entry, whatever the one before had written", async () => {
    const stage = joined();
    stage.append(create(1));
    await settled();
    stage.committer.left();
    stage.join("0b");
    stage.append(create(2));
    await settled();
    expect(stage.committed.map(({ entry }) => [entry.memberId, entry.sequence])).toEqual([
      [memberId, 1],
      ["0b", 1],
    ]);
  });

  test("that a listing does not show fails what is under way, unless it joined after the listing", async () => {
    const stage = joined();
    stage.hold();
    const told = stage.append(create(1));
    await (await stage.next()).fail();
    const before = stage.etcd.revision - 1n;
    stage.committer.listed(new Set(), before, () => undefined);
    expect(told.words).toEqual([]);
    stage.committer.listed(new Set(), before + 1n, () => undefined);
    expect(told.words).toEqual(["failed not-a-member"]);
  });

  test("with a first command writes it alone, and nothing else before it is in the log", async () => {
    const stage = new CommitterStage();
    stage.hold();
    stage.join(memberId, { kind: "raise-floor", token: 7n });
    const told = stage.append(create(1));
    const first = await stage.next();
    expect(first.entry.commands).toEqual([{ kind: "raise-floor", token: 7n }]);
    expect(stage.arrived).toEqual([]);
    await first.loseAnswer();
    await stage.clock.advance(1);
    expect(stage.arrived).toEqual([]);
    await stage.clock.advance(200);
    const again = await stage.next();
    expect(again.sequence).toBe(1);
    await again.answer();
    await (await stage.next()).answer();
    expect(told.words).toEqual(["settled holds"]);
    expect(stage.sizes).toEqual([1, 1]);
  });
});

test("the first command of a member is written however long etcd refuses it", async () => {
  const stage = new CommitterStage();
  stage.hold();
  stage.join(memberId, { kind: "raise-floor", token: 7n });
  await (await stage.next()).fail(refusal("mvcc: database space exceeded"));
  stage.append(create(1));
  await stage.clock.advance(200);
  const again = await stage.next();
  expect(again.entry.commands).toEqual([{ kind: "raise-floor", token: 7n }]);
  await again.answer();
  expect((await stage.next()).entry.commands).toHaveLength(1);
});

test("closing fails what is not settled, and everything from then on", async () => {
  const stage = joined({ maxInFlight: 1 });
  stage.hold();
  const sent = stage.append(create(1));
  await stage.next();
  const queued = stage.append(create(2));
  stage.committer.close();
  const late = stage.append(create(3));
  await settled();
  expect([sent, queued, late].map(({ words }) => words)).toEqual([
    ["failed shutting-down"],
    ["failed shutting-down"],
    ["failed shutting-down"],
  ]);
});
