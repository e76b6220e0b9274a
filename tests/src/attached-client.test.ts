import { afterAll, afterEach, beforeEach, expect, test } from "@jest/globals";
import { type ClientEvents, MetaClient, type MetaClientOptions } from "@metasrv/meta-client";
import { leakCheck, type Metasrv, startMetasrv, until } from "@metasrv/testing";
import { Http1Proxy } from "./http1-proxy.js";

const send = "/metasrv.v1.LockService/Send";
const attach = "/metasrv.v1.LockService/Attach";

let server: Metasrv;
let proxy: Http1Proxy;
/** Sees the server without the proxy. */
let observer: MetaClient;

beforeEach(async () => {
  server = await startMetasrv();
  proxy = await Http1Proxy.start();
  observer = new MetaClient({ endpoints: [server.url], discover: false });
});

afterEach(async () => {
  await observer.close();
  await proxy[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

function clientBehindProxy(options: Partial<MetaClientOptions> = {}): MetaClient {
  return new MetaClient({ endpoints: [proxy.to(server.url)], discover: false, ...options });
}

async function waitersAre(name: string, count: number): Promise<void> {
  await until(async () => (await observer.locks.get(name)).waiters === count, { what: `${count} waiters` });
}

test("a first lock takes two calls, and says how the server is reached", async () => {
  const told: ClientEvents["connected"][] = [];
  await using meta = clientBehindProxy();
  meta.on("connected", (event) => told.push(event));
  await (await meta.lock("a")).release();
  await (await meta.lock("b")).release();
  expect(proxy.paths).toEqual([attach, send, send, send, send]);
  expect(told).toMatchObject([{ carrier: "attach", httpVersion: "1.1" }]);
});

test("what is asked for at the same time goes together", async () => {
  await using meta = clientBehindProxy();
  await (await meta.lock("first")).release();
  proxy.paths.length = 0;
  const locks = await Promise.all(Array.from({ length: 500 }, (_, n) => meta.lock(`many/${n}`)));
  await Promise.all(locks.map((lock) => lock.release()));
  expect(proxy.paths.length).toBeLessThan(50);
});

test("answers that are lost on the way lose no request, and repeat none", async () => {
  let sends = 0;
  proxy.loses = (path) => path === send && ++sends % 3 === 0;
  await using meta = clientBehindProxy();
  let inside = 0;
  let most = 0;
  let count = 0;
  const tokens: bigint[] = [];
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      for (let round = 0; round < 5; round++) {
        const lock = await meta.lock("a");
        most = Math.max(most, ++inside);
        tokens.push(lock.token);
        const seen = count;
        await new Promise((resolve) => setTimeout(resolve, 1));
        count = seen + 1;
        inside--;
        await lock.release();
      }
    }),
  );
  expect([most, count]).toEqual([1, 100]);
  expect(tokens).toEqual([...tokens].sort((a, b) => (a < b ? -1 : 1)));
  expect(sends).toBeGreaterThan(20);
  expect(await observer.locks.get("a")).toMatchObject({ holderCount: 0, waiters: 0 });
});

test("waits keep their place and holds stay held when the proxy breaks every connection", async () => {
  await using meta = clientBehindProxy();
  const held = await meta.lock("a");
  const first = meta.lock("a");
  await waitersAre("a", 1);
  const other = observer.lock("a");
  await waitersAre("a", 2);
  proxy.cut();
  await until(() => proxy.paths.filter((path) => path === attach).length === 2, { what: "another session" });
  expect(held.signal.aborted).toBe(false);
  await held.release();
  const second = await first;
  expect(second.token).toBeGreaterThan(held.token);
  await second.release();
  await (await other).release();
});

test("a client that closes leaves no wait and no lock behind, and the wait that was withdrawn last neither", async () => {
  const meta = clientBehindProxy();
  await meta.lock("a");
  const waits = [meta.lock("a"), meta.lock("a")].map((wait) => wait.catch(() => undefined));
  await waitersAre("a", 2);
  await meta.close();
  await Promise.all(waits);
  await until(async () => (await observer.locks.get("a")).holderCount === 0, { what: "the lock to be free" });
  expect(await observer.locks.get("a")).toMatchObject({ waiters: 0 });
});

test("grants that cross a withdrawal are given back", async () => {
  await using meta = clientBehindProxy();
  for (let round = 0; round < 30; round++) {
    const abort = new AbortController();
    const asked = meta.lock("a", { signal: abort.signal }).then(
      (lock) => lock.release(),
      () => undefined,
    );
    setTimeout(() => {
      abort.abort();
    }, round % 10);
    await asked;
  }
  const lock = await observer.lock("a", { waitMs: 2_000 });
  await lock.release();
});

test("the original form works", async () => {
  await using meta = clientBehindProxy();
  const { key } = await meta.lock({ name: "a", expireSecs: 60 });
  expect(await observer.tryLock("a")).toBeNull();
  await meta.unlock({ key });
  expect(await observer.locks.get("a")).toMatchObject({ holderCount: 0 });
});

afterAll(leakCheck());
