import { afterAll, afterEach, beforeEach, expect, test } from "@jest/globals";
import { type Leader, LockLostError, MetaClient, type MetaClientOptions } from "@metasrv/meta-client";
import { type Etcd, leakCheck, type Metasrv, startEtcd, startMetasrv, until } from "@metasrv/testing";

let etcd: Etcd;
let first: Metasrv;
let second: Metasrv;
let clients: MetaClient[];

beforeEach(async () => {
  etcd = await startEtcd();
  first = await startMetasrv({ store: etcd.endpoint });
  second = await startMetasrv({ store: etcd.endpoint });
  clients = [];
});

afterEach(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await first[Symbol.asyncDispose]();
  await second[Symbol.asyncDispose]();
  await etcd[Symbol.asyncDispose]();
});
afterAll(leakCheck());

function clientOf(server: Metasrv, options: Partial<MetaClientOptions> = {}): MetaClient {
  const client = new MetaClient({ endpoints: [server.url], discover: false, trackNesting: true, ...options });
  clients.push(client);
  return client;
}

async function next<T>(items: AsyncIterator<T>): Promise<T> {
  const { value, done } = (await items.next()) as IteratorResult<T, undefined>;
  if (done === true) {
    throw new Error("it ended");
  }
  return value;
}

/** Takes items until one is as it is wanted. */
async function nextThat<T>(items: AsyncIterator<T>, isWanted: (item: T) => boolean): Promise<T> {
  for (;;) {
    const item = await next(items);
    if (isWanted(item)) {
      return item;
    }
  }
}

test("a holder learns at once that its lock was taken by force at another server, by whom and why, and the next one holds", async () => {
  const holder = clientOf(first, { owner: "worker-7" });
  const operator = clientOf(second, { owner: "operator" });
  const locks = await holder.lockAll(["orders/7", "orders/8"], { ttlMs: 60_000, keepAlive: true });
  const waiting = clientOf(second).lock("orders/8", { ttlMs: 60_000 });
  await until(async () => (await operator.locks.get("orders/8")).waiters === 1, { what: "a waiter" });

  await expect(operator.locks.force("orders/8", locks.token + 1n, { reason: "a mistake" })).rejects.toBeInstanceOf(
    LockLostError,
  );
  expect(locks.signal.aborted).toBe(false);
  const asItStood = await operator.locks.force("orders/8", locks.token, { reason: "the job hangs" });
  expect(asItStood).toMatchObject({ owner: "worker-7", holds: true, parts: ["orders/7", "orders/8"] });
  await until(() => locks.signal.aborted, { what: "the holder to learn of it" });
  expect(locks.signal.reason).toMatchObject({
    code: "LOCK_LOST",
    forced: { actor: "operator", reason: "the job hangs" },
  });
  expect(await locks.renew()).toBe("lost");
  const after = await waiting;
  expect(after.token).toBeGreaterThan(locks.token);

  // Every server has the record, and keeps it over restarts of all.
  const expected = [{ name: "orders/8", token: locks.token, owner: "worker-7", held: true, reason: "the job hangs" }];
  expect(await records(holder)).toMatchObject(expected);
  await first.stop();
  await second.stop();
  first = await startMetasrv({ store: etcd.endpoint });
  second = await startMetasrv({ store: etcd.endpoint });
  expect(await records(clientOf(first))).toMatchObject(expected);
});

async function records(client: MetaClient) {
  const found = [];
  for await (const record of client.locks.forced()) {
    found.push(record);
  }
  return found;
}

test("a waiter that is removed by force is told why", async () => {
  const holder = await clientOf(first).lock("x", { ttlMs: 60_000 });
  const waiting = clientOf(first).lock("x");
  const operator = clientOf(second);
  await until(async () => (await operator.locks.get("x")).waiters === 1, { what: "a waiter" });
  const { tickets } = await operator.locks.get("x");
  const ended = waiting.catch((error: unknown) => error);
  await operator.locks.force("x", tickets[1]?.token ?? 0n, { reason: "a flood", actor: "ops" });
  expect(await ended).toMatchObject({ code: "LOCK_LOST", message: expect.stringContaining("a flood") });
  expect(holder.signal.aborted).toBe(false);
});

test("a watch shows a lock as it changes, and goes on when its server ends", async () => {
  const watcher = clientOf(first, { endpoints: [first.url, second.url], firstEndpoint: "listed" });
  const user = clientOf(second);
  const watch = watcher.locks.watch("x");
  expect(await next(watch)).toMatchObject({ holderCount: 0, tickets: [] });
  const lock = await user.lock("x", { labels: { job: "nightly" }, ttlMs: 60_000 });
  const held = await nextThat(watch, ({ holderCount }) => holderCount === 1);
  expect(held.tickets).toMatchObject([{ token: lock.token, labels: { job: "nightly" } }]);
  await first.kill();
  // It shows again what is there then, at the other server.
  expect(await nextThat(watch, ({ holderCount }) => holderCount === 1)).toMatchObject({ holderCount: 1 });
  await lock.release();
  expect(await nextThat(watch, ({ holderCount }) => holderCount === 0)).toMatchObject({ tickets: [] });
  await watch.return();
});

test("a watch of a prefix tells what is there, what comes and what goes, by its names, over servers that end", async () => {
  const watcher = clientOf(first, { endpoints: [first.url, second.url], firstEndpoint: "listed" });
  const user = clientOf(second);
  const kept = await user.lock("p/kept", { ttlMs: 60_000 });
  await user.lock("other", { ttlMs: 60_000 });
  await until(async () => (await watcher.locks.get("other")).holderCount === 1, { what: "the other server to see it" });
  const watch = watcher.locks.watchAll({ prefix: "p/" });
  expect(await nextThat(watch, ({ complete }) => complete)).toMatchObject({ locks: [{ name: "p/kept" }] });
  const lost = await user.lock("p/lost", { ttlMs: 60_000 });
  expect(await nextThat(watch, ({ locks }) => locks.length > 0)).toMatchObject({ locks: [{ name: "p/lost" }] });
  await first.kill();
  await lost.release();
  const gone = new Set();
  while (!gone.has("p/lost")) {
    for (const name of (await next(watch)).removed) {
      gone.add(name);
    }
  }
  expect([...gone]).toEqual(["p/lost"]);
  await kept.release();
  expect(await nextThat(watch, ({ removed }) => removed.length > 0)).toMatchObject({ removed: ["p/kept"] });
  await watch.return();
});

test("two that wait for what the other holds are found, at any server, and logged where the circle closed", async () => {
  const one = clientOf(first, { owner: "one" });
  const two = clientOf(second, { owner: "two" });
  const operator = clientOf(first);
  const end = new AbortController();
  const hang = (client: MetaClient, outer: string, inner: string) => {
    return client.withLock(outer, async () => {
      await until(async () => (await operator.locks.get(inner)).holderCount === 1, { what: `${inner} to be held` });
      return client.withLock(inner, { signal: end.signal }, () => undefined);
    });
  };
  const both = [hang(one, "a", "b"), hang(two, "b", "a")];
  const ended = Promise.allSettled(both);
  await until(async () => (await operator.locks.deadlocks()).length === 1, { what: "the deadlock" });
  for (const client of [one, two]) {
    const [deadlock = []] = await client.locks.deadlocks();
    expect(deadlock.map(({ name, ticket }) => [name, ticket.owner]).sort()).toEqual([
      ["a", "two"],
      ["b", "one"],
    ]);
  }
  const blocked = [];
  for await (const lock of operator.locks.blocked()) {
    blocked.push([lock.name, lock.waiter.owner, lock.blockers.map(({ owner }) => owner)]);
  }
  expect(blocked).toEqual([
    ["a", "two", ["one"]],
    ["b", "one", ["two"]],
  ]);
  end.abort(new Error("enough"));
  await ended;
  expect(await operator.locks.deadlocks()).toEqual([]);
});

test("leaders follow each other when one is killed by force or resigns, and an observer sees it", async () => {
  const seen: Leader[] = [];
  const end = new AbortController();
  const observing = (async () => {
    for await (const leader of clientOf(first).observeLeader("boss", { signal: end.signal })) {
      if (leader !== null) {
        seen.push(leader);
      }
    }
  })().catch(() => undefined);
  const tokens: bigint[] = [];
  const candidate = (client: MetaClient, value: string) => {
    // Of this candidate alone: whoever uses force lets the next one lead before the callback of the one before has ended.
    let leading = 0;
    return client.lead("boss", { value, ttlMs: 2_000, rejoinMs: 50, signal: end.signal }, async (term) => {
      expect(++leading).toBe(1);
      tokens.push(term.token);
      if (!term.signal.aborted) {
        await new Promise((resolve) => {
          term.signal.addEventListener("abort", resolve);
        });
      }
      leading--;
    });
  };
  const candidates = Promise.allSettled([
    candidate(clientOf(first, { owner: "one" }), "1"),
    candidate(clientOf(second, { owner: "two" }), "2"),
  ]);
  const operator = clientOf(second);
  for (let terms = 1; terms <= 4; terms++) {
    await until(() => tokens.length === terms, { what: `term ${terms}` });
    await until(() => seen.at(-1)?.token === tokens.at(-1), { what: `the observer to see term ${terms}` });
    await operator.locks.force("boss", tokens.at(-1) ?? 0n, { reason: "rotate" });
  }
  await until(() => tokens.length === 5, { what: "term 5" });
  end.abort(new Error("enough"));
  await candidates;
  await observing;
  expect(tokens).toEqual([...tokens].sort((a, b) => (a < b ? -1 : 1)));
  const shown = seen.map(({ owner, value }) => `${owner} ${Buffer.from(value).toString()}`);
  expect(new Set(shown)).toEqual(new Set(["one 1", "two 2"]));
});
