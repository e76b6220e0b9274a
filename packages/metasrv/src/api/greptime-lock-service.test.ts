import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { Lock } from "@metasrv/proto/greptime/v1/meta";
import { type Served, ways } from "../../test-support/served.js";
import type { LockNode } from "../node/lock-node.js";

const limits = { defaultTtlMs: 50 };
const name = new TextEncoder().encode("lock_name");

let served: Served;
let locks: LockNode;
let client: Client<typeof Lock>;

async function failure(call: Promise<unknown>): Promise<ConnectError> {
  return await call.then(
    () => {
      throw new Error("expected the call to fail");
    },
    (reason: unknown) => ConnectError.from(reason),
  );
}

describe.each(ways)("greptime.v1.meta.Lock, %s", (_, open) => {
  beforeEach(async () => {
    const opened = await open({ limits });
    served = opened.served;
    locks = served.store;
    client = createClient(Lock, opened.transport);
  });

  afterEach(async () => {
    await served[Symbol.asyncDispose]();
  });

  test("locks and unlocks, and both answers carry the header", async () => {
    const locked = await client.lock({ header: { protocolVersion: 1n, memberId: 5n }, name, expireSecs: 60n });
    expect(locked.header).toMatchObject({ protocolVersion: 1n });
    expect(locked.header?.error).toBeUndefined();
    expect(locked.key.byteLength).toBeGreaterThan(0);
    const unlocked = await client.unlock({ key: locked.key });
    expect(unlocked.header).toMatchObject({ protocolVersion: 1n });
  });

  test("waits for the holder", async () => {
    const first = await client.lock({ name, expireSecs: 60n });
    const second = client.lock({ name, expireSecs: 60n });
    await client.unlock({ key: first.key });
    expect((await second).key).not.toEqual(first.key);
  });

  test("0 seconds mean the default, after which the next one gets the lock", async () => {
    const first = await client.lock({ name });
    const second = await client.lock({ name, expireSecs: 60n });
    expect(second.key).not.toEqual(first.key);
  });

  test("unlock after the lock has expired or was released answers OK, and releases nothing else", async () => {
    const first = await client.lock({ name });
    const second = await client.lock({ name, expireSecs: 60n });
    await client.unlock({ key: first.key });
    await client.unlock({ key: first.key });
    expect(locks.state(name).holderToken).toBeGreaterThan(0n);
    await client.unlock({ key: second.key });
    expect(locks.state(name).holderToken).toBe(0n);
  });

  test.each([-1n, -(2n ** 63n), 86_401n, 2n ** 63n - 1n])("refuses to hold for %s seconds", async (expireSecs) => {
    const error = await failure(client.lock({ name, expireSecs }));
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.rawMessage).toContain(
      `expire_secs is ${expireSecs.toString()}; expected 1 to 86400 seconds, or 0 for the default of 0.05 seconds`,
    );
  });

  test.each([new Uint8Array(), name])("refuses bytes that are no key (%#)", async (key) => {
    expect((await failure(client.unlock({ key }))).code).toBe(Code.InvalidArgument);
  });

  test("refuses an empty name", async () => {
    expect((await failure(client.lock({ expireSecs: 1n }))).code).toBe(Code.InvalidArgument);
  });
});
