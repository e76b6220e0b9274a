// Locks in their original form: lock({ name, expireSecs }) waits for a lock and answers with its key, unlock({ key })
// gives it back. Nothing is renewed: a lock that is not unlocked in time ends by itself.
import { check, type Meta, moment, type NewClient, onStage, originalForm, say, work } from "./stage.js";

async function lockAndUnlock(meta: Meta): Promise<void> {
  say("1. Lock for 60 s, work 3 s, unlock");

  const { key } = await meta.lock({ name: "lock_name", expireSecs: 60 });
  say("worker: locked");
  await work(3);
  await meta.unlock({ key });
  say("worker: unlocked");
}

async function twoWorkers(meta: Meta): Promise<void> {
  say("2. Two workers: the second gets the lock when the first unlocks");

  async function second(): Promise<number> {
    say("second: asks, and waits");
    const { key } = await meta.lock({ name: "lock_name", expireSecs: 60 });
    const lockedAt = say("second: locked");
    await meta.unlock({ key });
    return lockedAt;
  }

  const { key } = await meta.lock({ name: "lock_name", expireSecs: 60 });
  say("first: locked");
  const done = second();
  await work(3);
  const unlockedAt = say("first: unlocks");
  await meta.unlock({ key });

  const lockedAt = await done;
  check(lockedAt >= unlockedAt, "the second had the lock before the first unlocked");
  check(lockedAt - unlockedAt <= moment, "the second had the lock too long after the first unlocked");
}

async function tooLate(meta: Meta): Promise<void> {
  say("3. A worker that locks for 5 s and works 20 s: the second gets the lock after 5 s");

  async function second(): Promise<{ lockedAt: number; unlockedAt: number }> {
    say("second: asks, and waits");
    const { key } = await meta.lock({ name: "lock_name", expireSecs: 60 });
    const lockedAt = say("second: locked");
    await work(20);
    const unlockedAt = say("second: unlocks");
    await meta.unlock({ key });
    return { lockedAt, unlockedAt };
  }

  async function third(): Promise<number> {
    say("third: asks, and waits");
    const { key } = await meta.lock({ name: "lock_name", expireSecs: 60 });
    const lockedAt = say("third: locked");
    await meta.unlock({ key });
    return lockedAt;
  }

  const askedAt = say("slow: asks for 5 s");
  const { key } = await meta.lock({ name: "lock_name", expireSecs: 5 });
  const slowLockedAt = say("slow: locked");
  const secondDone = second();
  await work(20);
  await meta.unlock({ key });
  say("slow: unlocked 15 s too late, which succeeds and changes nothing");
  const thirdLockedAt = await third();

  const { lockedAt, unlockedAt } = await secondDone;
  check(lockedAt - askedAt >= 5, "the second had the lock before the 5 s of the first were over");
  check(lockedAt - slowLockedAt <= 5 + moment, "the second had the lock too long after the 5 s of the first");
  check(thirdLockedAt >= unlockedAt, "the late unlock took the lock away from the second");
}

const inOriginalForm = (scenario: (meta: Meta) => Promise<void>) => {
  return (newClient: NewClient): Promise<void> => scenario(originalForm(newClient("example")));
};

await onStage(...[lockAndUnlock, twoWorkers, tooLate].map(inOriginalForm));
