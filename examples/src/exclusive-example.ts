// Exclusive locks: one holder at a time, in the order of asking, and a token by which the resource knows who is late.
import { check, FencedRecord, msOf, type NewClient, once, onStage, say, untilQueued, work } from "./stage.js";

async function oneAtATime(newClient: NewClient): Promise<void> {
  say("1. Three processes write one order: one at a time, in the order of asking");

  let inside = 0;
  const allAsk = once();
  async function write(who: string): Promise<void> {
    await newClient(who).withLock("orders/42", async () => {
      say(`${who}: writes`);
      check(++inside === 1, "two held the lock");
      await allAsk.happened;
      await work(1);
      inside--;
    });
  }

  const lookout = newClient("lookout");
  const writes = [];
  for (const who of ["ann", "bob", "cid"]) {
    writes.push(write(who));
    await untilQueued(lookout, "orders/42", writes.length);
  }
  allAsk.happens();
  await Promise.all(writes);
}

async function tooLate(newClient: NewClient): Promise<void> {
  say("2. A process that sleeps through the end of its lock: the order refuses what it writes");

  const order = new FencedRecord("new");
  const slow = await newClient("slow").lock("orders/42", { ttlMs: msOf(5), keepAlive: false });
  say("slow: has the lock for 5 s, and does not renew it");
  await newClient("next").withLock("orders/42", (lock) => {
    check(lock.token > slow.token, "a later grant had no higher token");
    check(order.write("shipped", lock.token), "the holder could not write");
    say("next: has the lock, and writes");
  });
  check(slow.signal.aborted, "the holder was not told that its time is over");
  say(`slow: writes too late, which is ${order.write("cancelled", slow.token) ? "taken" : "refused"}`);
  check(order.value === "shipped", "the order took what an outdated holder wrote");
}

await onStage(oneAtATime, tooLate);
