// Who holds what: a lock with its queue, changes as they come, who is blocked, deadlocks, and force.
import { type HeldLock, type LockLostError, SelfDeadlockError } from "@metasrv/meta-client";
import { check, type NewClient, once, onStage, say, untilWaiting } from "./stage.js";

async function look(newClient: NewClient): Promise<void> {
  say("1. A lock with its queue, and all locks of a prefix");

  const operator = newClient("operator");
  const ann = await newClient("ann").lock("orders/42", { labels: { job: "nightly" } });
  const waiting = newClient("bob").lock("orders/42");
  await untilWaiting(operator, "orders/42");
  const { tickets } = await operator.locks.get("orders/42", { minToken: ann.token });
  for (const { owner, holds, position, labels } of tickets) {
    say(holds ? `${owner} holds, for the job ${labels.job ?? "unknown"}` : `${owner} waits at place ${position}`);
  }
  const listed: string[] = [];
  for await (const lock of operator.locks.list({ prefix: "orders/" })) {
    listed.push(`${String(lock.name)} (${lock.holderCount} holds, ${lock.waiters} waits)`);
  }
  say(`all locks: ${listed.join(", ")}`);
  for await (const { waiter, blockers } of operator.locks.blocked({ prefix: "orders/" })) {
    say(`${waiter.owner} is blocked by ${blockers.map(({ owner }) => owner).join(", ")}`);
  }
  await ann.release();
  await (await waiting).release();
}

async function watch(newClient: NewClient): Promise<void> {
  say("2. Changes, as they come");

  const ann = newClient("ann");
  let held: HeldLock | undefined;
  for await (const { locks, removed, complete } of newClient("operator").locks.watchAll({ prefix: "orders/" })) {
    for (const lock of locks) {
      say(`${String(lock.name)} is held by ${lock.holders[0]?.owner ?? "nobody"}`);
      await held?.release();
    }
    if (removed.length > 0) {
      say(`${removed.join(", ")} is free`);
      return;
    }
    if (complete && held === undefined) {
      say("nobody holds an order");
      held = await ann.lock("orders/42");
    }
  }
}

async function force(newClient: NewClient): Promise<void> {
  say("3. A lock is taken by force: its holder is told, and the next one holds");

  const operator = newClient("operator");
  const ann = await newClient("ann").lock("orders/42", { keepAlive: true });
  const waiting = newClient("bob").lock("orders/42");
  await untilWaiting(operator, "orders/42");
  const { tickets } = await operator.locks.get("orders/42");
  const token = tickets[0]?.token ?? 0n;

  const told = new Promise((resolve) => {
    ann.signal.addEventListener("abort", resolve);
  });
  const { owner } = await operator.locks.force("orders/42", token, { reason: "the host is gone" });
  say(`operator: takes it from ${owner}`);
  const bob = await waiting;
  await told;
  const { forced } = ann.signal.reason as LockLostError;
  say(`ann: is told by ${forced?.actor ?? "nobody"}: ${forced?.reason ?? "nothing"}`);
  say("bob: holds it");
  check(bob.token > token, "a later grant had no higher token");

  const again = operator.locks.force("orders/42", token, { reason: "once more" });
  const code = await again.then(
    () => "taken",
    (error: unknown) => (error as LockLostError).code,
  );
  say(`operator: tries the same token again, which is ${code}`);
  check(!bob.signal.aborted, "an outdated token hit whoever came next");
  for await (const record of operator.locks.forced()) {
    say(`on record: ${String(record.name)} of ${record.owner}, by ${record.actor}: ${record.reason}`);
  }
  await bob.release();
}

async function deadlock(newClient: NewClient): Promise<void> {
  say("4. Two processes that each hold what the other one asks for");

  const operator = newClient("operator");
  let inside = 0;
  const both = once();
  const enough = new AbortController();
  async function nested(who: string, outer: string, inner: string): Promise<void> {
    const meta = newClient(who);
    await meta.withLock(outer, async () => {
      if (++inside === 2) {
        both.happens();
      }
      await both.happened;
      // Without a bound: a wait that has one ends by itself. Once one of them was given up, the other may get its lock.
      await meta
        .withLock(inner, { signal: enough.signal }, () => undefined)
        .catch((error: unknown) => {
          check(error === enough.signal.reason, "a wait did not end with its signal");
        });
    });
  }

  const done = [nested("ann", "accounts/1", "accounts/2"), nested("bob", "accounts/2", "accounts/1")];
  await untilWaiting(operator, "accounts/1");
  await untilWaiting(operator, "accounts/2");
  for (const requests of await operator.locks.deadlocks()) {
    const shown = requests.map(({ name, ticket }) => `${ticket.owner} waits for ${String(name)}`);
    say(`deadlock: ${shown.sort().join(", ")}`);
  }
  enough.abort();
  await Promise.all(done);

  const cid = newClient("cid");
  await cid.withLock("accounts/1", async (lock) => {
    check(cid.current("accounts/1") === lock, "the held lock was not found");
    const error = await cid.lock("accounts/1").catch((reason: unknown) => reason);
    check(error instanceof SelfDeadlockError, "a wait for itself went unnoticed");
    say("cid: asks for what it holds, which is an error at once");
  });
}

await onStage(look, watch, force, deadlock);
