// Several locks at once: all or none, in one place of all queues, so that nobody waits in a circle.
import { check, type NewClient, onStage, say, untilWaiting } from "./stage.js";

async function transfers(newClient: NewClient): Promise<void> {
  say("1. Transfers between three accounts, in all directions at once");

  const balances = new Map([
    ["accounts/1", 100],
    ["accounts/2", 100],
    ["accounts/3", 100],
  ]);
  const names = [...balances.keys()];
  async function transfer(meta: ReturnType<NewClient>, from: string, to: string): Promise<void> {
    // The order in which they are named does not matter.
    await meta.withAll([from, to], async () => {
      const [had, has] = [balances.get(from) ?? 0, balances.get(to) ?? 0];
      await Promise.resolve();
      balances.set(from, had - 1);
      balances.set(to, has + 1);
    });
  }

  const clients = ["ann", "bob"].map(newClient);
  const pairs = names.flatMap((from) => names.filter((to) => to !== from).map((to) => [from, to] as const));
  for (let round = 0; round < 20; round++) {
    await Promise.all(clients.flatMap((meta) => pairs.map(([from, to]) => transfer(meta, from, to))));
  }
  check([...balances.values()].join() === "100,100,100", "a transfer was lost");
  say(`${clients.length * pairs.length * 20} transfers, and every account has what it had`);
}

async function reservation(newClient: NewClient): Promise<void> {
  say("2. A request for two locks reserves the one that is free, and waits for the other");

  const lookout = newClient("lookout");
  const ann = await newClient("ann").lock("accounts/1");
  say("ann: holds accounts/1");
  check((await newClient("bob").tryLockAll(["accounts/1", "accounts/2"])) === null, "one lock was held twice");
  say("bob: tries both, and gets none");
  const both = newClient("cid").lockAll(["accounts/2", "accounts/1"]);
  await untilWaiting(lookout, "accounts/1");
  const { tickets } = await lookout.locks.get("accounts/2");
  say(`cid: waits for both, and ${tickets[0]?.reserves === true ? "reserves" : "does not reserve"} accounts/2`);
  const next = newClient("dot").lock("accounts/2");
  await untilWaiting(lookout, "accounts/2");
  say("dot: waits for accounts/2, behind cid");

  await ann.release();
  say("ann: releases accounts/1");
  const cid = await both;
  say(`cid: holds ${cid.names.join(" and ")}`);
  await cid.release();
  await (await next).release();
  say("dot: has held accounts/2");
}

async function mixed(newClient: NewClient): Promise<void> {
  say("3. Each of them as it is needed: alone, shared, or as permits");

  const reader = await newClient("reader").lock("catalogue", { mode: "shared" });
  const group = await newClient("ann").lockAll([
    "orders/42",
    { name: "catalogue", mode: "shared" },
    { name: "reports", limit: 5, permits: 2 },
  ]);
  say(`ann: holds ${group.names.join(", ")}`);
  check(group.floorOf("orders/42") === group.token, "the floor of an exclusive lock is not its token");
  check(group.floorOf("catalogue") === reader.token, "the floor is not the token of the first that holds");
  check(group.limitOf("reports") === 5, "the limit is not what was asked for");
  await Promise.all([reader.release(), group.release()]);
}

await onStage(transfers, reservation, mixed);
