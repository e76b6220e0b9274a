import { createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, test } from "@jest/globals";
import { Lock } from "@metasrv/proto/greptime/v1/meta";
import { LockService } from "@metasrv/proto/metasrv/v1";
import { pino } from "pino";
import { dependenciesAround } from "../../test-support/served.js";
import { LockError } from "../model/lock-errors.js";
import { createRoutes } from "./routes.js";

/** Serves locks that are never available, and collects what is logged. */
function setUp(level: string) {
  const lines: Record<string, unknown>[] = [];
  const logger = pino(
    { level, base: null, timestamp: false },
    {
      write: (line: string) => {
        lines.push(JSON.parse(line) as Record<string, unknown>);
      },
    },
  );
  const away = () => {
    throw new LockError("store-unavailable", "etcd is away");
  };
  const locks = { claim: away, unlock: () => Promise.resolve(), renew: away, resume: away };
  const transport = createRouterTransport(createRoutes(dependenciesAround(locks, { logger })));
  return { lines, client: createClient(LockService, transport), greptime: createClient(Lock, transport) };
}

describe("the request log", () => {
  test("is one line a request, with its method, code, duration and lock", async () => {
    const { lines, client, greptime } = setUp("debug");
    await client.unlock({ key: new Uint8Array([1]) });
    await client.lock({ lock: { case: "name", value: "a" } }).catch(() => undefined);
    await client.lock({ lock: { case: "nameBytes", value: new Uint8Array([0x62]) } }).catch(() => undefined);
    await greptime.lock({ name: new Uint8Array([0x63]) }).catch(() => undefined);
    const durationMs: unknown = expect.any(Number);
    const line = { level: 20, msg: "request", durationMs };
    expect(lines).toEqual([
      { ...line, method: "metasrv.v1.LockService/Unlock", code: "ok" },
      { ...line, method: "metasrv.v1.LockService/Lock", code: "unavailable", lock: "a" },
      { ...line, method: "metasrv.v1.LockService/Lock", code: "unavailable", lock: "b" },
      { ...line, method: "greptime.v1.meta.Lock/Lock", code: "unavailable", lock: "c" },
    ]);
  });

  test("is silent at info", async () => {
    const { lines, client } = setUp("info");
    await client.unlock({ key: new Uint8Array([1]) });
    expect(lines).toEqual([]);
  });
});
