import { createClient } from "@connectrpc/connect";
import { afterAll, afterEach, beforeEach, expect, test } from "@jest/globals";
import { MetaClient, type Protocol } from "@metasrv/meta-client";
import { LockService } from "@metasrv/proto/metasrv/v1";
import { leakCheck, type Metasrv, startMetasrv } from "@metasrv/testing";
import { Http1Proxy } from "./http1-proxy.js";
import { RoundTrips } from "./round-trips.js";
import { openRpcClient } from "./rpc-client.js";

let server: Metasrv;

beforeEach(async () => {
  server = await startMetasrv();
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
});
afterAll(leakCheck());

/** One lock, by calls. */
async function byCalls(url: string, protocol: Protocol): Promise<void> {
  using rpc = openRpcClient(protocol, url);
  const locks = createClient(LockService, rpc.transport);
  const { outcome } = await locks.lock({ lock: { case: "name", value: "a" } });
  await locks.unlock({ key: outcome.case === "granted" ? outcome.value.key : new Uint8Array() });
}

/** What a short process does. */
async function byClient(url: string, protocol?: Protocol): Promise<void> {
  await using meta = new MetaClient({ endpoints: [url], discover: false, ...(protocol && { protocol }) });
  await (await meta.lock("a")).release();
}

test.each(["connect", "grpc"] as const)("one lock takes one more than two calls do, by %s", async (protocol) => {
  await using trips = await RoundTrips.start(server.url);
  expect(await trips.of(() => byCalls(trips.url, protocol))).toBe(2);
  expect(await trips.of(() => byClient(trips.url, protocol))).toBe(3);
});

test("over HTTP/1.1, too", async () => {
  await using proxy = await Http1Proxy.start();
  await byClient(proxy.to(server.url));
  expect(proxy.paths.map((path) => path.split("/").at(-1))).toEqual(["Attach", "Send", "Send"]);
});

test("a client that closes without a lock waits for nobody, and leaves nothing", async () => {
  await using trips = await RoundTrips.start(server.url);
  const meta = new MetaClient({ endpoints: [trips.url], discover: false });
  await (await meta.lock("a")).release();
  expect(await trips.of(() => meta.close())).toBe(0);
  await using other = new MetaClient({ endpoints: [server.url], discover: false });
  expect(await other.locks.get("a")).toMatchObject({ tickets: [] });
});

test("a client that closes with a wait that it has withdrawn waits until the server has heard of that", async () => {
  await using trips = await RoundTrips.start(server.url);
  await using other = new MetaClient({ endpoints: [server.url], discover: false });
  const held = await other.lock("a");
  const meta = new MetaClient({ endpoints: [trips.url], discover: false });
  const abort = new AbortController();
  const waits = meta.lock("a", { signal: abort.signal }).catch(() => undefined);
  await (await meta.lock("b")).release();
  abort.abort();
  await waits;
  expect(await trips.of(() => meta.close())).toBe(1);
  expect(await other.locks.get("a")).toMatchObject({ waiters: 0 });
  await held.release();
});
