import { afterEach, describe, expect, test } from "@jest/globals";
import { type FakeCall, FakeEtcd, noAnswer, promptly } from "../../../test-support/fake-etcd.js";
import { goOn, LogStage, Others } from "../../../test-support/log-stage.js";
import { create, nameOf, release } from "../../../test-support/told.js";
import { decodeBase } from "../snapshot-codec.js";

const stages: LogStage[] = [];

/** A log whose snapshots are due after few entries. */
function stageOf(options: ConstructorParameters<typeof LogStage>[0] = {}): LogStage {
  const stage = new LogStage({ minLogBytes: 5_000, ...options });
  stages.push(stage);
  return stage;
}

afterEach(async () => {
  for (const stage of stages.splice(0)) {
    stage.etcd.behaviour = promptly;
    await stage.close();
    expect(stage.fatal).toEqual([]);
  }
});

const below = (etcd: FakeEtcd, folder: string) => etcd.keys.filter((key) => key.startsWith(`metasrv/@/${folder}`));
const baseOf = (etcd: FakeEtcd) => decodeBase(etcd.get("metasrv/@/base")?.value ?? Buffer.of());

/** Many locks are held, each by an entry of its own. */
async function fill(stage: LogStage, count: number, from = 0): Promise<void> {
  for (let n = from; n < from + count; n++) {
    stage.append(create(n, `lock-${n}`));
    await goOn();
  }
}

/** Lets a snapshot and its trimming come to their ends. */
async function snapshotWritten(stage: LogStage): Promise<void> {
  for (let step = 0; step < 20; step++) {
    await stage.clock.advance(100);
    await goOn();
  }
}

/** Whoever reads the store now has the table that the stage has. */
async function readsTheSame(stage: LogStage): Promise<void> {
  const reader = await stageOf({ etcd: stage.etcd, minLogBytes: 1e9 }).start({ joins: false });
  const { low, high } = reader.fold.hash;
  expect({ low, high }).toMatchObject({ low: stage.fold.hash.low, high: stage.fold.hash.high });
  expect(reader.fold.size).toBe(stage.fold.size);
  expect(reader.fold.nextToken).toBe(stage.fold.nextToken);
}

const isTxn = (call: FakeCall) => call.kind === "txn";
const writesTo = (call: FakeCall, folder: string) =>
  call.kind === "txn" &&
  call.txn.success.some((op) => op.kind !== "range" && op.key.toString().startsWith(`metasrv/@/${folder}`));

describe("a snapshot", () => {
  test("is written by the leader once the log is long, and what it covers is trimmed", async () => {
    const stage = await stageOf().start();
    await fill(stage, 10);
    expect(below(stage.etcd, "snapshots")).toEqual([]);
    expect(baseOf(stage.etcd).snapshot).toBe("");
    await fill(stage, 60, 10);
    await snapshotWritten(stage);
    const base = baseOf(stage.etcd);
    expect(below(stage.etcd, "snapshots")).toHaveLength(base.chunks);
    expect(base.snapshot).toMatch(/^\d{16}-[0-9a-f]{16}$/);
    for (const key of below(stage.etcd, "log")) {
      expect(stage.etcd.get(key)?.modRevision).toBeGreaterThan(base.revision);
    }
    expect(stage.logged("info")).toContain("wrote a snapshot");
    await readsTheSame(stage);
  });

  test("is followed by the next when the log has grown again, which takes the place of the one before", async () => {
    const stage = await stageOf().start();
    await fill(stage, 70);
    await snapshotWritten(stage);
    const first = baseOf(stage.etcd);
    await fill(stage, 90, 70);
    await snapshotWritten(stage);
    const second = baseOf(stage.etcd);
    expect(second.revision).toBeGreaterThan(first.revision);
    expect(below(stage.etcd, "snapshots").every((key) => key.includes(second.snapshot))).toBe(true);
    await readsTheSame(stage);
  });

  test("is not written by a server that does not lead", async () => {
    const leader = await stageOf({ minLogBytes: 1e9 }).start();
    const other = await stageOf({ etcd: leader.etcd, clock: leader.clock }).start();
    await fill(other, 70);
    await snapshotWritten(other);
    expect(below(leader.etcd, "snapshots")).toEqual([]);
  });

  test("has the table as it was at its revision, whatever changes while it is written", async () => {
    const stage = await stageOf().start();
    await fill(stage, 25);
    const token = stage.fold.state(nameOf("lock-0")).holderToken;
    stage.etcd.behaviour = async (call, run, timeoutMs) => {
      if (writesTo(call, "snapshots")) {
        // Another has its way in between.
        stage.append(release(0, token, "lock-0"));
        stage.append(create(1_000 + stage.etcd.calls.length, "late"));
        await goOn();
      }
      return promptly(call, run, timeoutMs);
    };
    await fill(stage, 20, 25);
    await snapshotWritten(stage);
    expect(baseOf(stage.etcd).snapshot).not.toBe("");
    expect(stage.fold.state(nameOf("lock-0")).holderToken).toBe(0n);
    await readsTheSame(stage);
  });

  test("and its trimming disturb no delivery: own entries are told at once in between", async () => {
    const stage = await stageOf().start();
    await fill(stage, 69);
    stage.etcd.holdWatches();
    stage.append(create(69, "lock-69"));
    await goOn();
    const told = await stage.write(create(70, "lock-70"));
    expect(told.words).toEqual(["settled holds"]);
    stage.etcd.releaseWatches();
    await snapshotWritten(stage);
    expect(baseOf(stage.etcd).snapshot).not.toBe("");
  });

  test("remembers which entries were applied: one that is written again after trimming has no effect", async () => {
    const stage = await stageOf().start();
    const held = await stage.write(create(0));
    const [first = ""] = below(stage.etcd, "log");
    const value = stage.etcd.get(first)?.value;
    await stage.write(release(0, held.outcome !== undefined && "token" in held.outcome ? held.outcome.token : 0n));
    await fill(stage, 70, 1);
    await snapshotWritten(stage);
    expect(stage.etcd.get(first)).toBeUndefined();
    stage.etcd.write(first, value);
    await goOn();
    expect(stage.fold.state(nameOf("a")).holderToken).toBe(0n);
    await readsTheSame(stage);
  });
});

describe("trimming", () => {
  test("removes entries of gone members too, and keeps those that came after the snapshot", async () => {
    const etcd = new FakeEtcd();
    const others = new Others(etcd);
    const gone = await others.join();
    for (let n = 0; n < 5; n++) {
      others.write(gone, [create(500 + n, `gone-${n}`)]);
    }
    etcd.lapse(BigInt(`0x${gone}`));
    const stage = await stageOf({ etcd }).start();
    const present = new Others(etcd);
    const member = await present.join();
    present.write(member, [create(600, "present")]);
    await fill(stage, 70);
    present.write(member, [create(601, "present-2")]);
    await snapshotWritten(stage);
    const base = baseOf(etcd);
    expect(base.snapshot).not.toBe("");
    expect(below(etcd, `log/${gone}`)).toEqual([]);
    expect(below(etcd, `log/${member}`)).toHaveLength(1);
    await readsTheSame(stage);
  });

  test("leaves alone what is none of ours, and the keys of members", async () => {
    const etcd = new FakeEtcd();
    const foreign = ["metasrv/@/log/x", "metasrv/@/log/0f/1", "metasrv/@/other", "metasrv/locks/x", "metasrv/@0"];
    for (const key of foreign) {
      etcd.write(key, "\x67");
    }
    const stage = await stageOf({ etcd }).start();
    await fill(stage, 70);
    await snapshotWritten(stage);
    expect(etcd.keys).toEqual(expect.arrayContaining([...foreign, ...below(etcd, "members")]));
    expect(below(etcd, "members")).toHaveLength(1);
  });

  test("removes the remains of a snapshot of others that was cut short", async () => {
    const etcd = new FakeEtcd();
    for (const name of ["0000000000000000-0a", "9999999999999999-0a"]) {
      etcd.write(`metasrv/@/snapshots/${name}/000000`, "remains");
    }
    const stage = await stageOf({ etcd }).start();
    await fill(stage, 70);
    await snapshotWritten(stage);
    const base = baseOf(etcd);
    expect(base.snapshot).not.toBe("");
    expect(below(etcd, "snapshots").every((key) => key.includes(base.snapshot))).toBe(true);
  });

  test("ends when another snapshot counts, or the store is another, and deletes nothing of that", async () => {
    const stage = await stageOf().start();
    await fill(stage, 30);
    const backup = stage.etcd.backup();
    let isRestored = false as boolean;
    stage.etcd.behaviour = async (call, run, timeoutMs) => {
      if (!isRestored && call.kind === "range" && call.range.keysOnly === true && call.range.limit === 500) {
        isRestored = true;
        stage.etcd.restore(backup);
        // The store is read anew before the trimming goes on.
        await stage.clock.advance(5_000);
        await goOn();
      }
      return promptly(call, run, timeoutMs);
    };
    for (let n = 30; !isRestored; n++) {
      await fill(stage, 1, n);
    }
    await stage.clock.advance(100);
    await goOn();
    expect(stage.logged("error")).toHaveLength(1);
    const entries = below(stage.etcd, "log/0000000000000010");
    expect(entries).toHaveLength(30);
    await readsTheSame(stage);
  });
});

describe("of two servers that take themselves for the leader", () => {
  test("one has no effect, and the base stays whole", async () => {
    const first = await stageOf().start();
    const second = await stageOf({ etcd: first.etcd, clock: first.clock }).start();
    await fill(first, 30);
    // The second has not heard of the first's key being there again; both write.
    first.etcd.holdWatches();
    let isOpen = false;
    const held: (() => void)[] = [];
    first.etcd.behaviour = async (call, run, timeoutMs) => {
      if (writesTo(call, "base") && !isOpen) {
        await new Promise<void>((resolve) => held.push(resolve));
      }
      return promptly(call, run, timeoutMs);
    };
    first.etcd.releaseWatches();
    await fill(first, 40, 30);
    await snapshotWritten(first);
    expect(held).toHaveLength(1);
    const name = below(first.etcd, "snapshots")[0]?.split("/").at(-2);
    // The first loses its key while its switch of the base is under way; the second leads and writes its own.
    first.etcd.remove(first.keys.member("0000000000000010"));
    isOpen = true;
    await fill(second, 70, 100);
    await snapshotWritten(second);
    const base = baseOf(first.etcd);
    expect(base.snapshot).not.toBe(name);
    held[0]?.();
    await goOn();
    expect(baseOf(first.etcd)).toEqual(base);
    await readsTheSame(second);
  });
});

describe("a snapshot that is cut short", () => {
  test.each([1, 2, 3, 4, 5])(
    "at write %i leaves a store that is whole, and the next one is written later",
    async (step) => {
      const stage = await stageOf().start();
      await fill(stage, 30);
      let writes = 0;
      let failing = true;
      stage.etcd.behaviour = (call, run, timeoutMs) => {
        const isOurs = isTxn(call) && (writesTo(call, "snapshots") || writesTo(call, "base") || isDelete(call));
        return isOurs && failing && ++writes >= step ? Promise.reject(noAnswer()) : promptly(call, run, timeoutMs);
      };
      await fill(stage, 20, 30);
      await snapshotWritten(stage);
      await readsTheSame(stage);
      failing = false;
      await stage.clock.advance(6_000);
      await fill(stage, 70, 70);
      await snapshotWritten(stage);
      const base = baseOf(stage.etcd);
      expect(base.snapshot).not.toBe("");
      expect(below(stage.etcd, "snapshots").every((key) => key.includes(base.snapshot))).toBe(true);
      for (const key of below(stage.etcd, "log")) {
        expect(stage.etcd.get(key)?.modRevision).toBeGreaterThan(base.revision);
      }
      await readsTheSame(stage);
    },
  );

  test("because the table was read anew is given up, and leaves a store that is whole", async () => {
    const stage = await stageOf().start();
    await fill(stage, 30);
    let isDone = false;
    stage.etcd.behaviour = async (call, run, timeoutMs) => {
      if (!isDone && writesTo(call, "snapshots")) {
        isDone = true;
        stage.etcd.pass(1);
        stage.etcd.holdWatches();
        stage.etcd.write(stage.keys.member("99"), "", 99n);
        stage.etcd.pass(1);
        stage.etcd.compact();
        stage.etcd.breakWatches();
        stage.etcd.releaseWatches();
        await stage.clock.advance(2_000);
      }
      return promptly(call, run, timeoutMs);
    };
    await fill(stage, 20, 30);
    await snapshotWritten(stage);
    expect(isDone).toBe(true);
    expect(stage.logged("info")).toContain("listed the store again");
    await readsTheSame(stage);
  });

  test("because this server closes says nothing of it", async () => {
    const stage = await stageOf().start();
    await fill(stage, 30);
    let letGo = () => undefined as unknown;
    stage.etcd.behaviour = async (call, run, timeoutMs) => {
      if (writesTo(call, "snapshots")) {
        await new Promise<void>((resolve) => (letGo = resolve));
        throw new Error("1 CANCELLED: the client was closed");
      }
      return promptly(call, run, timeoutMs);
    };
    await fill(stage, 20, 30);
    await stage.close();
    letGo();
    await goOn();
    expect(stage.logged("warn", "error")).toEqual([]);
  });
});

function isDelete(call: FakeCall): boolean {
  return call.kind === "txn" && call.txn.success.some(({ kind }) => kind === "delete");
}
