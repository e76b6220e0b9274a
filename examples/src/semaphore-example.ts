// Semaphores: holders that take no more permits together than there are.
import { check, type NewClient, once, onStage, say, untilWaiting, work } from "./stage.js";

const limit = 5;

async function permits(newClient: NewClient): Promise<void> {
  say("1. Five permits: two take 2 each, one waits for 3, and one behind it for 1");

  const lookout = newClient("lookout");
  const reports = (who: string) => newClient(who).semaphore("reports", { limit });
  const ann = await reports("ann").acquire({ permits: 2 });
  const bob = await reports("bob").acquire({ permits: 2 });
  say("ann and bob: have 2 permits each");

  const large = reports("cid").acquire({ permits: 3 });
  await untilWaiting(lookout, "reports", 1);
  const small = reports("dot").acquire();
  await untilWaiting(lookout, "reports", 2);
  check((await reports("eve").tryAcquire()) === null, "somebody was overtaken");
  say("cid waits for 3, dot behind it, though 1 is left");

  await ann.release();
  say("ann: gives 2 back");
  const cid = await large;
  say("cid: has 3 permits");
  await bob.release();
  say("bob: gives 2 back");
  const dot = await small;
  say("dot: has 1 permit");
  await Promise.all([cid.release(), dot.release()]);
}

async function load(newClient: NewClient): Promise<void> {
  say("2. Twenty reports of five processes: never more than 5 at a time");

  let running = 0;
  let most = 0;
  const full = once();
  async function report(meta: ReturnType<NewClient>): Promise<void> {
    await meta.semaphore("reports", { limit }).withPermits(async () => {
      most = Math.max(most, ++running);
      if (running === limit) {
        full.happens();
      }
      // The first ones wait for each other, so that it is seen that so many may run.
      await full.happened;
      await work(0.5);
      running--;
    });
  }

  const clients = ["ann", "bob", "cid", "dot", "eve"].map(newClient);
  await Promise.all(clients.flatMap((meta) => [report(meta), report(meta), report(meta), report(meta)]));
  check(most === limit, `${most} ran at a time, of ${limit}`);
  say("all are done, 5 at a time");
}

await onStage(permits, load);
