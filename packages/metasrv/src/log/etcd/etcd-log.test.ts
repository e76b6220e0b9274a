import { afterEach, describe, expect, test } from "@jest/globals";
import { FakeEtcd, noAnswer, promptly } from "../../../test-support/fake-etcd.js";
import { goOn, LogStage, Others } from "../../../test-support/log-stage.js";
import { create, nameOf, release } from "../../../test-support/told.js";
import { knownLevel } from "../../model/command.js";
import { FatalError } from "../../model/fatal-error.js";

const stages: LogStage[] = [];

function stageOf(options: ConstructorParameters<typeof LogStage>[0] = {}): LogStage {
  const stage = new LogStage(options);
  stages.push(stage);
  return stage;
}

afterEach(async () => {
  for (const stage of stages.splice(0)) {
    stage.etcd.behaviour = promptly;
    await stage.close();
  }
});

/** The token with which a ticket was created. */
function tokenOf({ outcome }: { readonly outcome: unknown }): bigint {
  return (outcome as { readonly token?: bigint } | undefined)?.token ?? 0n;
}

describe("two logs over one etcd", () => {
  test("fold what either writes into the same table", async () => {
    const first = await stageOf().start();
    const second = await stageOf({ etcd: first.etcd, clock: first.clock }).start();
    const held = await first.write(create(1));
    const waits = await second.write(create(2));
    expect([held.words, waits.words]).toEqual([["settled holds"], ["settled waits"]]);
    await first.write(release(1, tokenOf(held)));
    expect(second.fold.state(nameOf("a"))).toEqual(first.fold.state(nameOf("a")));
    expect(second.fold.hash).toEqual(first.fold.hash);
    expect(first.members.map(({ id }) => id)).toEqual(second.members.map(({ id }) => id));
  });

  test("take the oldest member with a lease for the first", async () => {
    const etcd = new FakeEtcd();
    etcd.write("metasrv/@/members/1", "");
    const first = await stageOf({ etcd }).start();
    const second = await stageOf({ etcd, clock: first.clock }).start();
    expect(first.members.map(({ id }) => Number.parseInt(id, 16))).toEqual([0x10, 0x11]);
    etcd.write("metasrv/@/members/0", "");
    await goOn();
    expect(second.members).toEqual(first.members);
    expect(second.members).toHaveLength(2);
  });
});

describe("a log that follows the store", () => {
  test("says that it may be behind before it has read it, and not after", async () => {
    const stage = stageOf();
    expect(stage.log.lag()).toBe("it has not read the store yet");
    await stage.start();
    expect(stage.log.lag()).toBeUndefined();
  });

  test("has joined once it knows of itself", async () => {
    const stage = stageOf();
    await stage.start({ joins: false });
    stage.etcd.holdWatches();
    const started = stage.join();
    await goOn();
    expect([stage.membership, stage.members]).toEqual([["joined 10"], []]);
    stage.etcd.releaseWatches();
    await started;
    expect(stage.members).toHaveLength(1);
  });

  test("joins again at once, as another member, when somebody deletes its key", async () => {
    const stage = await stageOf().start();
    const [member] = stage.members;
    stage.etcd.remove(stage.keys.member(member?.id ?? ""));
    await goOn();
    expect(stage.membership).toEqual(["joined 10", "lost", "joined 11"]);
    expect(stage.members).toHaveLength(1);
    expect((await stage.write(create(1))).words).toEqual(["settled holds"]);
  });
});

describe("an entry that cannot be folded ends the process", () => {
  test("when its level is higher than this version knows", async () => {
    const stage = await stageOf().start();
    const others = new Others(stage.etcd);
    others.write(await others.join(), [], { level: knownLevel + 1 });
    await goOn();
    expect(stage.fatal).toEqual([expect.any(FatalError)]);
    expect(stage.fatal[0]?.message).toContain("upgrade");
  });

  test("when its writer has another table, and nothing is granted from there on", async () => {
    const stage = await stageOf().start();
    await stage.write(create(1));
    const others = new Others(stage.etcd);
    const { revision } = stage.fold.hash;
    others.write(await others.join(), [], { seen: { revision, low: 1, high: 2 } });
    await goOn();
    expect(stage.fatal).toEqual([expect.any(FatalError)]);
    expect((await stage.write(create(2, "b"))).words).toEqual([]);
  });

  test("but not when it is only listed, for what its writer saw cannot be known any more", async () => {
    const etcd = new FakeEtcd();
    const others = new Others(etcd);
    others.write(await others.join(), [], { seen: { revision: 1n, low: 1, high: 2 } });
    const stage = await stageOf({ etcd }).start();
    expect(stage.fatal).toEqual([]);
  });
});

describe("a key that is none of ours", () => {
  test("is warned of once, however often it is seen, and has no effect", async () => {
    const etcd = new FakeEtcd();
    const bad = ["metasrv/@/log/10/x", "metasrv/@/other", "metasrv/@/members/zz", "metasrv/@/log/10/0000000000000009"];
    for (const key of bad) {
      etcd.write(key, "\x67garbage");
    }
    const stage = await stageOf({ etcd }).start();
    for (const key of bad) {
      etcd.write(key, "\x67again");
    }
    await goOn();
    etcd.compact();
    etcd.breakWatches();
    etcd.pass(1);
    await stage.clock.advance(2_000);
    const warned = stage.lines.filter(({ level }) => level === "warn").map(({ key }) => key);
    expect(warned.sort()).toEqual(bad.sort());
    expect((await stage.write(create(1))).words).toEqual(["settled holds"]);
  });
});

describe("a level", () => {
  test("is raised by the leader once every member knows it", async () => {
    const first = await stageOf({ knownLevel: 2 }).start();
    const others = new Others(first.etcd);
    expect(first.fold.base.level).toBe(2);
    const second = stageOf({ etcd: first.etcd, clock: first.clock, knownLevel: 1 });
    await expect(second.start()).rejects.toThrow("upgrade");
    await others.join(2);
    await goOn();
    expect(first.fatal).toEqual([]);
  });

  test("stays while one member does not know it", async () => {
    const old = await stageOf({ knownLevel: 1 }).start();
    const young = await stageOf({ etcd: old.etcd, clock: old.clock, knownLevel: 2 }).start();
    await young.write(create(1));
    expect(young.fold.base.level).toBe(1);
    await old.close();
    await goOn();
    expect(young.fold.base.level).toBe(2);
  });
});

describe("an etcd that took the place of another", () => {
  test("restored from an older copy: said loudly, read anew, joined anew, and tokens go on rising", async () => {
    const stage = await stageOf().start();
    await stage.write(create(1));
    const backup = stage.etcd.backup();
    const lost = await stage.write(create(2, "b"));
    stage.etcd.restore(backup);
    await stage.clock.advance(5_000);
    await goOn();
    expect(stage.logged("error")).toEqual([expect.stringContaining("restored, replaced or wiped")]);
    expect(stage.membership.slice(1)).toEqual(["lost", expect.stringMatching(/^joined/)]);
    expect(stage.fold.state(nameOf("b")).holderToken).toBe(0n);
    expect(tokenOf(await stage.write(create(3, "b")))).toBeGreaterThan(tokenOf(lost));
    expect(stage.fatal).toEqual([]);
  });

  test("restored, and written to until it is further than before: found by the change that is not there", async () => {
    const stage = await stageOf().start();
    const backup = stage.etcd.backup();
    const lost = await stage.write(create(2, "b"));
    stage.etcd.restore(backup);
    stage.etcd.pass(100);
    await stage.clock.advance(5_000);
    await goOn();
    expect(stage.logged("error")).toEqual([expect.stringContaining("restored, replaced or wiped")]);
    expect(stage.fold.state(nameOf("b")).holderToken).toBe(0n);
    expect(tokenOf(await stage.write(create(3, "b")))).toBeGreaterThan(tokenOf(lost));
  });

  test("restored to where the very same revision is another change: found as well", async () => {
    const stage = await stageOf().start();
    const backup = stage.etcd.backup();
    await stage.write(create(2, "b"));
    const { revision } = stage.etcd;
    stage.etcd.restore(backup);
    stage.etcd.pass(Number(revision - backup.revision));
    expect(stage.etcd.revision).toBe(revision);
    await stage.clock.advance(5_000);
    expect(stage.logged("error")).toHaveLength(1);
    expect(stage.fold.state(nameOf("b")).holderToken).toBe(0n);
  });

  test.each(["behind", "ahead of"] as const)(
    "restored, and %s what two servers have seen that go on writing: neither takes the other for faulty",
    async (where) => {
      const first = await stageOf().start();
      let lists = true;
      const second = stageOf({
        etcd: first.etcd,
        clock: first.clock,
        range: (range, timeoutMs) => (lists ? first.etcd.range(range, timeoutMs) : Promise.reject(noAnswer())),
      });
      await second.start();
      const both = [first, second];
      await first.write(create(1));
      const backup = first.etcd.backup();
      let n = 10;
      const work = async () => {
        const told = both.map((stage) => stage.append(create(n++, `lock-${n}`)));
        await goOn();
        return told;
      };
      for (let round = 0; round < 10; round++) {
        await work();
      }
      // What is under way when etcd ends is written again.
      first.etcd.behaviour = () => Promise.reject(noAnswer());
      const underWay = await work();
      first.etcd.restore(backup);
      if (where === "ahead of") {
        first.etcd.pass(100);
      }
      first.etcd.behaviour = promptly;
      // One of them reads the store anew long before the other, which is a member all the same.
      lists = false;
      for (let round = 0; round < 50; round++) {
        lists ||= round === 15;
        underWay.push(...(await work()));
        await first.clock.advance(200);
      }
      for (const stage of both) {
        expect(stage.fatal).toEqual([]);
        expect(stage.logged("error")).toHaveLength(1);
      }
      expect(underWay.map(({ words }) => words.length)).toEqual(underWay.map(() => 1));
      expect(second.fold.hash).toEqual(first.fold.hash);
    },
  );

  test("set up anew, with another cluster id: tokens go on rising", async () => {
    const stage = await stageOf().start();
    const before = await stage.write(create(1));
    stage.etcd.clusterId = 2n;
    stage.etcd.wipe();
    await stage.clock.advance(5_000);
    await goOn();
    expect(stage.logged("error")).toHaveLength(1);
    const after = await stage.write(create(2));
    expect(after.words).toEqual(["settled holds"]);
    expect(tokenOf(after)).toBeGreaterThan(tokenOf(before));
  });

  test("wiped, with the same cluster id: tokens go on rising", async () => {
    const stage = await stageOf().start();
    const before = await stage.write(create(1));
    stage.etcd.wipe();
    await stage.clock.advance(5_000);
    await goOn();
    const after = await stage.write(create(2));
    expect(tokenOf(after)).toBeGreaterThan(tokenOf(before));
  });

  test("and of what it writes after joining anew, before it has read the store anew, tokens rise too", async () => {
    const stage = await stageOf().start();
    const backup = { ...stage.etcd.backup() };
    for (let n = 1; n < 10; n++) {
      await stage.write(create(n, `lock-${n}`));
    }
    const highest = stage.fold.nextToken;
    // The copy does not have the member, and reading it takes its time.
    const others = backup.changes.filter(({ kv }) => kv.lease === 0n);
    stage.etcd.behaviour = (call, run, timeoutMs) =>
      call.kind === "range" ? Promise.reject(noAnswer()) : promptly(call, run, timeoutMs);
    stage.etcd.restore({ ...backup, changes: others, leases: new Map() });
    stage.append(create(20, "b"));
    await stage.clock.advance(300);
    await goOn();
    const told = stage.append(create(21, "c"));
    await stage.clock.advance(300);
    stage.etcd.behaviour = promptly;
    await stage.clock.advance(5_000);
    await goOn();
    expect(told.words).toHaveLength(1);
    if (told.words[0] === "settled holds") {
      expect(tokenOf(told)).toBeGreaterThanOrEqual(highest);
    }
    expect(tokenOf(await stage.write(create(22, "d")))).toBeGreaterThanOrEqual(highest);
  });
});

describe("an entry whose answer was lost while the member went", () => {
  test("is settled by a listing that has it, though the member is gone", async () => {
    const stage = await stageOf().start();
    const held = await stage.write(create(1));
    let isLost = false;
    stage.etcd.holdWatches();
    stage.etcd.behaviour = async (call, run, timeoutMs) => {
      const answer = await promptly(call, run, timeoutMs);
      if (call.kind === "txn" && !isLost && call.txn.success.some(({ kind }) => kind === "put")) {
        isLost = true;
        throw new Error("14 UNAVAILABLE: connection lost");
      }
      return answer;
    };
    const told = stage.append(release(1, tokenOf(held)));
    await goOn();
    expect(isLost).toBe(true);
    // The lease lapses, and what the watch would tell is compacted away.
    for (const lease of stage.etcd.leases) {
      stage.etcd.lapse(lease);
    }
    stage.etcd.pass(2);
    stage.etcd.compact();
    stage.etcd.breakWatches();
    stage.etcd.releaseWatches();
    await stage.clock.advance(5_000);
    await goOn();
    expect(told.words).toEqual(["settled done"]);
  });
});
