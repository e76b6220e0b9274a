import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { defaultLimits } from "@metasrv/metasrv";
import { Lock, type LockRequestSchema as OriginalRequestSchema } from "@metasrv/proto/greptime/v1/meta";
import type { LockRequestSchema } from "@metasrv/proto/metasrv/v1";
import { leakCheck, type Metasrv, startMetasrv } from "@metasrv/testing";
import { PlainLocks, type RpcFailure, rpcFailure } from "./plain-locks.js";
import { openRpcClient, type RpcClient, type Wire } from "./rpc-client.js";

const { maxMessageBytes } = defaultLimits;

let node: Metasrv;

beforeAll(async () => {
  node = await startMetasrv();
});

// It is not enough that the server survives: it must serve as before.
afterEach(async () => {
  using locks = new PlainLocks(node.url);
  await locks.unlock(await locks.lock("still serving"));
});

const a = { case: "name", value: "a" } as const;
const key = (length: number): Uint8Array => new Uint8Array(length).fill(7);

/** What is wrong, the request, and what the failure must say. */
type BadRequest<T> = readonly [
  what: string,
  request: T,
  code: RpcFailure["code"],
  reason: RpcFailure["reason"],
  says: RegExp,
];

const lockRequests: readonly BadRequest<MessageInitShape<typeof LockRequestSchema>>[] = [
  ["no name", {}, "InvalidArgument", "INVALID_NAME", /name is empty.*1 to 1024 bytes/],
  ["an empty name", { lock: { case: "name", value: "" } }, "InvalidArgument", "INVALID_NAME", /name is empty/],
  [
    "an empty name in bytes",
    { lock: { case: "nameBytes", value: key(0) } },
    "InvalidArgument",
    "INVALID_NAME",
    /empty/,
  ],
  [
    "a name of 1025 characters",
    { lock: { case: "name", value: "x".repeat(1025) } },
    "InvalidArgument",
    "INVALID_NAME",
    /name has 1025 bytes.*1 to 1024/,
  ],
  [
    "a name of 342 characters of 3 bytes",
    { lock: { case: "name", value: "名".repeat(342) } },
    "InvalidArgument",
    "INVALID_NAME",
    /name has 1026 bytes/,
  ],
  ["a ticket id of 15 bytes", { lock: a, ticketId: key(15) }, "InvalidArgument", "INVALID_TICKET_ID", /15 bytes.*16/],
  ["a ticket id of 17 bytes", { lock: a, ticketId: key(17) }, "InvalidArgument", "INVALID_TICKET_ID", /17 bytes.*16/],
  ["an unknown mode", { lock: a, mode: 99 as never }, "InvalidArgument", "INVALID_MODE", /99.*EXCLUSIVE/],
  ["a negative TTL", { lock: a, ttlMs: -1n }, "InvalidArgument", "INVALID_TTL", /-1 ms.*10 to 86400000 ms/],
  ["a TTL below the least", { lock: a, ttlMs: 9n }, "InvalidArgument", "INVALID_TTL", /9 ms.*10 to 86400000 ms/],
  ["a TTL above the most", { lock: a, ttlMs: 86_400_001n }, "InvalidArgument", "INVALID_TTL", /86400001 ms/],
  ["a huge TTL", { lock: a, ttlMs: 2n ** 63n - 1n }, "InvalidArgument", "INVALID_TTL", /10 to 86400000 ms/],
  ["the most negative TTL", { lock: a, ttlMs: -(2n ** 63n) }, "InvalidArgument", "INVALID_TTL", /10 to 86400000 ms/],
  ["a negative wait", { lock: a, waitMs: -1n }, "InvalidArgument", "INVALID_WAIT", /-1 ms/],
  ["an owner text of 257 bytes", { lock: a, owner: "x".repeat(257) }, "InvalidArgument", "INVALID_OWNER", /257.*256/],
  [
    "a message above the bound",
    { lock: a, owner: "x".repeat(maxMessageBytes) },
    "ResourceExhausted",
    undefined,
    new RegExp(String(maxMessageBytes)),
  ],
];

const originalRequests: readonly BadRequest<MessageInitShape<typeof OriginalRequestSchema>>[] = [
  ["no name", { expireSecs: 1n }, "InvalidArgument", "INVALID_NAME", /name is empty/],
  ["a name of 1025 bytes", { name: key(1025) }, "InvalidArgument", "INVALID_NAME", /1025 bytes.*1 to 1024/],
  [
    "a negative expiry",
    { name: key(1), expireSecs: -1n },
    "InvalidArgument",
    "INVALID_TTL",
    /expire_secs is -1.*1 to 86400/,
  ],
  [
    "an expiry above the most",
    { name: key(1), expireSecs: 86_401n },
    "InvalidArgument",
    "INVALID_TTL",
    /86401.*1 to 86400/,
  ],
  [
    "a huge expiry",
    { name: key(1), expireSecs: 2n ** 63n - 1n },
    "InvalidArgument",
    "INVALID_TTL",
    /9223372036854775807/,
  ],
  [
    "a message above the bound",
    { name: key(maxMessageBytes) },
    "ResourceExhausted",
    undefined,
    new RegExp(String(maxMessageBytes)),
  ],
];

const keys: readonly (readonly [what: string, bytes: Uint8Array, says: RegExp])[] = [
  ["an empty key", key(0), /key.*empty/],
  ["a key of garbage", key(40), /key.*cannot be read/],
  ["a key of one byte", key(1), /key.*give back the bytes of the answer/],
  ["a key of 10,000 bytes", key(10_000), /key.*10000 bytes/],
  ["the name of a lock for a key", Buffer.from("a"), /key/],
];

describe.each(["connect", "grpc", "json"] as const)("by %s", (wire: Wire) => {
  let rpc: RpcClient;
  let locks: PlainLocks;
  let original: Client<typeof Lock>;

  beforeAll(() => {
    rpc = openRpcClient(wire, node.url);
    locks = new PlainLocks(node.url, wire);
    original = createClient(Lock, rpc.transport);
  });
  afterAll(() => {
    locks[Symbol.dispose]();
    rpc[Symbol.dispose]();
  });

  test.each(lockRequests)("a lock request with %s is refused", async (_, request, code, reason, says) => {
    const failure = await rpcFailure(locks.service.lock(request));
    expect(failure).toMatchObject({ code, reason });
    expect(failure.message).toMatch(says);
  });

  test.each(originalRequests)("an original lock request with %s is refused", async (_, request, code, reason, says) => {
    const failure = await rpcFailure(original.lock(request));
    expect(failure).toMatchObject({ code, reason });
    expect(failure.message).toMatch(says);
  });

  test.each(keys)("%s is refused by unlock, renew and the original unlock", async (_, bytes, says) => {
    for (const call of [
      () => locks.service.unlock({ key: bytes }),
      () => locks.service.renew({ key: bytes }),
      () => original.unlock({ key: bytes }),
    ]) {
      const failure = await rpcFailure(call());
      expect(failure).toMatchObject({ code: "InvalidArgument", reason: "INVALID_KEY" });
      expect(failure.message).toMatch(says);
    }
  });

  test("a renewal with a TTL out of bounds is refused, and changes nothing", async () => {
    const grant = await locks.lock(`renewed by ${wire}`, { ttlMs: 60_000 });
    for (const ttlMs of [-1, 9, 86_400_001]) {
      const failure = await rpcFailure(locks.renew(grant, ttlMs));
      expect(failure).toMatchObject({ code: "InvalidArgument", reason: "INVALID_TTL" });
      expect(failure.message).toMatch(/10 to 86400000 ms/);
    }
    await locks.unlock(grant);
  });

  test("no expiry means ten seconds, in both contracts", async () => {
    const grant = await locks.lock(`default by ${wire}`);
    expect(grant.ttlMs).toBe(10_000n);
    await locks.unlock(grant);
    const { key: proof } = await original.lock({ name: Buffer.from(`default by ${wire}`), expireSecs: 0n });
    await locks.renew({ key: proof });
    await original.unlock({ key: proof });
  });
});

afterAll(async () => {
  await node[Symbol.asyncDispose]();
});
afterAll(leakCheck());
