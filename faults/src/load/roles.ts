import type { WishedPart, Worker } from "./worker.js";

/** One round of what a worker does over and over. */
export type Role = (worker: Worker) => Promise<void>;

/** The locks that many workers want. */
export const hotLocks = ["hot/1", "hot/2", "hot/3"] as const;

/** The locks whose holders often go away without a word. */
const carelessLocks = ["careless/1", "careless/2"] as const;

/**
 * Locks with this prefix are asked for by one worker each, all the time. So a gap between grants is the service's
 * doing.
 */
export const probePrefix = "probe/";

/** A TTL that outlasts every fault for which holds are promised to be kept. */
export const longTtlMs = 10_000;

/** Asks for a free lock again and again, which shows whether the service serves. */
export const probe: Role = async (worker) => {
  const hold = await worker.lock(`${probePrefix}${worker.name}`, { ttlMs: longTtlMs });
  if (hold !== undefined) {
    await worker.write(hold);
    await worker.release(hold);
  }
  await worker.pause(30);
};

/** Queues for a hot lock and keeps it alive. */
export const queuer: Role = async (worker) => {
  await worker.withLock(worker.random.pick(hotLocks), { ttlMs: longTtlMs }, async (hold) => {
    await worker.write(hold);
    await worker.workWhileHeld(hold, worker.random.between(1, 15));
    if (!hold.lock.signal.aborted) {
      await worker.write(hold);
    }
  });
  await worker.pause(worker.random.between(1, 40));
};

/** Queues for a hot lock, does not keep it alive, and gives it back in time. */
export const shortQueuer: Role = async (worker) => {
  const hold = await worker.lock(worker.random.pick(hotLocks), { ttlMs: 2_000 });
  if (hold !== undefined) {
    await worker.write(hold);
    await worker.workWhileHeld(hold, worker.random.between(1, 15));
    await worker.release(hold);
  }
  await worker.pause(worker.random.between(1, 40));
};

/** Waits for a hot lock, but not for long. */
export const impatient: Role = async (worker) => {
  const waitMs = Math.round(worker.random.between(0, 300));
  const hold = await worker.lock(worker.random.pick(hotLocks), { ttlMs: 2_000, waitMs });
  if (hold !== undefined) {
    await worker.write(hold);
    await worker.release(hold);
  }
  await worker.pause(worker.random.between(20, 80));
};

/** Takes a hot lock if it happens to be free. */
export const passerBy: Role = async (worker) => {
  const hold = await worker.tryLock(worker.random.pick(hotLocks), { ttlMs: 2_000 });
  if (hold !== undefined) {
    await worker.write(hold);
    await worker.release(hold);
  }
  await worker.pause(worker.random.between(20, 80));
};

/** Holds a lock of its own for seconds and keeps it alive. A fault must not take it away. */
export const keeper: Role = async (worker) => {
  await worker.withLock(`kept/${worker.name}`, { ttlMs: longTtlMs }, async (hold) => {
    await worker.write(hold);
    await worker.workWhileHeld(hold, worker.random.between(2_000, 15_000));
    if (!hold.lock.signal.aborted) {
      await worker.write(hold);
    }
  });
};

/**
 * Sometimes goes away with the lock, or writes without checking that it still holds it. The fence is there for that.
 */
export const careless: Role = async (worker) => {
  const ttlMs = Math.round(worker.random.between(200, 800));
  const hold = await worker.lock(worker.random.pick(carelessLocks), { ttlMs });
  if (hold === undefined) {
    return;
  }
  await worker.write(hold);
  if (worker.random.chance(0.3)) {
    return;
  }
  if (worker.random.chance(0.2)) {
    await worker.pause(ttlMs + worker.random.between(50, 300));
    await worker.write(hold);
  } else {
    await worker.workWhileHeld(hold, worker.random.between(1, 50));
  }
  await worker.release(hold);
};

/** The locks that some share and others want alone. */
const sharedLocks = ["shared/1", "shared/2"] as const;

/** Shares a lock with others. */
export const reader: Role = async (worker) => {
  const wish = { ttlMs: longTtlMs, mode: "shared", keepAlive: true } as const;
  const hold = await worker.lock(worker.random.pick(sharedLocks), wish);
  if (hold !== undefined) {
    await worker.write(hold);
    await worker.workWhileHeld(hold, worker.random.between(1, 30));
    await worker.write(hold);
    await worker.release(hold);
  }
  await worker.pause(worker.random.between(1, 20));
};

/** Wants a shared lock alone, and sometimes lets others in when it has written. */
export const writer: Role = async (worker) => {
  const hold = await worker.lock(worker.random.pick(sharedLocks), { ttlMs: longTtlMs, keepAlive: true });
  if (hold !== undefined) {
    await worker.write(hold);
    if (worker.random.chance(0.3)) {
      await worker.downgrade(hold);
      await worker.workWhileHeld(hold, worker.random.between(1, 30));
    }
    await worker.release(hold);
  }
  await worker.pause(worker.random.between(20, 100));
};

/** Takes permits of a semaphore. Not all say the same limit. */
export const permitTaker: Role = async (worker) => {
  const share = { permits: worker.random.pick([1, 1, 2]), limit: worker.random.pick([4, 4, 5]) };
  const hold = await worker.lock("permits/1", { ttlMs: 2_000, share });
  if (hold !== undefined) {
    await worker.workWhileHeld(hold, worker.random.between(1, 40));
    await worker.release(hold);
  }
  await worker.pause(worker.random.between(1, 40));
};

/** What is asked for together: hot locks that others want one by one, and locks that are shared. */
const groups: readonly (readonly WishedPart[])[] = [
  [{ name: hotLocks[0] }, { name: hotLocks[1] }],
  [{ name: hotLocks[2] }, { name: hotLocks[1] }],
  [{ name: hotLocks[2] }, { name: hotLocks[0] }, { name: sharedLocks[0], mode: "shared" }],
  [{ name: sharedLocks[1], mode: "shared" }, { name: sharedLocks[0] }],
];

/** Queues for several locks at once and keeps them alive. */
export const groupQueuer: Role = async (worker) => {
  const hold = await worker.lockAll(worker.random.pick(groups), { ttlMs: longTtlMs, keepAlive: true });
  if (hold !== undefined) {
    await worker.writeAll(hold);
    await worker.workWhileHeld(hold, worker.random.between(1, 15));
    if (!hold.lock.signal.aborted) {
      await worker.writeAll(hold);
    }
    await worker.release(hold);
  }
  await worker.pause(worker.random.between(1, 40));
};

/** Takes several locks if all of them happen to be free, or waits, but not for long. */
export const groupPasserBy: Role = async (worker) => {
  const waitMs = worker.random.chance(0.5) ? 0 : Math.round(worker.random.between(1, 300));
  const hold = await worker.lockAll(worker.random.pick(groups), { ttlMs: 2_000, waitMs });
  if (hold !== undefined) {
    await worker.writeAll(hold);
    await worker.release(hold);
  }
  await worker.pause(worker.random.between(20, 80));
};

/** Takes a lock by force now and then: from one that was there a moment ago, and sometimes by a token that is nobody's. */
export const operator: Role = async (worker) => {
  await worker.pause(worker.random.between(200, 2_000));
  const lock = worker.random.pick([...hotLocks, ...sharedLocks]);
  const tokens = await worker.tokensOf(lock);
  if (tokens.length > 0) {
    const token = worker.random.pick(tokens);
    await worker.pause(worker.random.chance(0.5) ? 0 : worker.random.between(1, 50));
    await worker.force(lock, worker.random.chance(0.8) ? token : token - 1n);
  }
};

/**
 * What the workers of one client process do, in order. If there are more workers than roles, it begins again at the
 * front.
 */
export const roles: readonly Role[] = [
  probe,
  queuer,
  keeper,
  shortQueuer,
  probe,
  careless,
  impatient,
  queuer,
  passerBy,
  keeper,
  probe,
  groupQueuer,
  groupPasserBy,
  operator,
  groupQueuer,
  queuer,
  shortQueuer,
  careless,
  probe,
  queuer,
  impatient,
  keeper,
  passerBy,
  queuer,
  shortQueuer,
  keeper,
  reader,
  writer,
  permitTaker,
  reader,
  permitTaker,
];
