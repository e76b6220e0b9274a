import { fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import {
  ErrorDetailSchema,
  type Grant,
  LockRequestSchema,
  type LockResponse,
  LockService,
  Reason,
} from "@metasrv/proto/metasrv/v1";
import { type Served, ways } from "../../test-support/served.js";
import { defaultLimits } from "../model/limits.js";
import type { LockNode } from "../node/lock-node.js";

const limits = { ...defaultLimits, maxWaitersPerLock: 2 };

let served: Served;
let locks: LockNode;
let client: Client<typeof LockService>;

describe.each(ways)("%s", (_, open) => {
  beforeEach(async () => {
    const opened = await open({ limits });
    served = opened.served;
    locks = served.store;
    client = createClient(LockService, opened.transport);
  });

  afterEach(async () => {
    await served[Symbol.asyncDispose]();
  });

  function named(name: string): { case: "name"; value: string } {
    return { case: "name", value: name };
  }

  function granted({ outcome }: LockResponse): Grant {
    if (outcome.case !== "granted") {
      throw new Error(`expected a grant, got ${outcome.case ?? "nothing"}`);
    }
    return outcome.value;
  }

  /** What a call failed with, as a caller sees it. */
  async function failure(call: Promise<unknown>) {
    const error = await call.then(
      () => {
        throw new Error("expected the call to fail");
      },
      (reason: unknown) => ConnectError.from(reason),
    );
    const [detail] = error.findDetails(ErrorDetailSchema);
    return { code: error.code, reason: detail?.reason, state: detail?.state, message: error.rawMessage };
  }

  /** Resolves once this many requests wait for the lock. */
  async function waiters(name: string, count: number): Promise<void> {
    const bytes = new TextEncoder().encode(name);
    while (locks.state(bytes).waiters !== count) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  describe("Lock", () => {
    test("grants a free lock", async () => {
      const grant = granted(await client.lock({ lock: named("a"), ttlMs: 5_000n }));
      expect(grant.key.byteLength).toBeGreaterThan(16);
      expect(grant.token).toBeGreaterThan(0n);
      expect(grant.ttlMs).toBe(5_000n);
      expect(grant.waitedMs).toBeGreaterThanOrEqual(0);
    });

    test("reads the header traceparent of a request that has none, if it is sampled", async () => {
      const span = (digit: number, flags: string) => `00-${String(digit).repeat(32)}-${"a".repeat(16)}-${flags}`;
      /** What the second of two requests is told of the first. */
      const unblockedBy = async (header: string, request: MessageInitShape<typeof LockRequestSchema> = {}) => {
        const first = granted(
          await client.lock({ lock: named("a"), ...request }, { headers: { traceparent: header } }),
        );
        const next = client.lock({ lock: named("a") }, { headers: { traceparent: span(2, "01") } });
        await waiters("a", 1);
        await client.unlock({ key: first.key });
        const second = granted(await next);
        await client.unlock({ key: second.key });
        return second.unblockedBy;
      };
      expect(await unblockedBy(span(1, "01"))).toBe(span(1, "01"));
      expect(await unblockedBy(span(1, "01"), { traceparent: span(3, "01") })).toBe(span(3, "01"));
      expect(await unblockedBy(span(1, "00"))).toBeUndefined();
      expect(await unblockedBy("00-nothing")).toBeUndefined();
    });

    test("uses the default TTL when none is asked for", async () => {
      expect(granted(await client.lock({ lock: named("a") })).ttlMs).toBe(10_000n);
    });

    test("refuses, as an answer, a taken lock to a caller that does not wait", async () => {
      const { token } = granted(await client.lock({ lock: named("a"), owner: "orders-7" }));
      const { outcome } = await client.lock({ lock: named("a"), waitMs: 0n });
      expect(outcome).toMatchObject({
        case: "refused",
        value: { state: { holderOwner: "orders-7", holderToken: token, waiters: 0 } },
      });
    });

    test("a text and its UTF-8 bytes are the same lock", async () => {
      await client.lock({ lock: named("größe") });
      const value = new TextEncoder().encode("größe");
      const { outcome } = await client.lock({ lock: { case: "nameBytes", value }, waitMs: 0n });
      expect(outcome.case).toBe("refused");
    });

    test("a waiting call is answered when the holder unlocks, with a higher token", async () => {
      const first = granted(await client.lock({ lock: named("a") }));
      const second = client.lock({ lock: named("a") });
      await waiters("a", 1);
      await client.unlock({ key: first.key });
      expect(granted(await second).token).toBeGreaterThan(first.token);
    });

    test("a wait that is over says who holds and how many wait", async () => {
      const { token } = granted(await client.lock({ lock: named("a"), owner: "orders-7" }));
      expect(await failure(client.lock({ lock: named("a"), waitMs: 1n }))).toMatchObject({
        code: Code.DeadlineExceeded,
        reason: Reason.WAIT_TIMED_OUT,
        state: { holderOwner: "orders-7", holderToken: token },
      });
      await waiters("a", 0);
    });

    test("a deadline of the call that passes ends the wait", async () => {
      await client.lock({ lock: named("a") });
      expect(await failure(client.lock({ lock: named("a") }, { timeoutMs: 20 }))).toMatchObject({
        code: Code.DeadlineExceeded,
      });
      await waiters("a", 0);
    });

    test("a caller that gives up leaves nothing behind", async () => {
      const { key } = granted(await client.lock({ lock: named("a") }));
      const abort = new AbortController();
      const call = failure(client.lock({ lock: named("a") }, { signal: abort.signal }));
      await waiters("a", 1);
      abort.abort();
      expect(await call).toMatchObject({ code: Code.Canceled });
      await waiters("a", 0);
      await client.unlock({ key });
      expect((await client.lock({ lock: named("a"), waitMs: 0n })).outcome.case).toBe("granted");
    });

    test("the same ticket id continues the same wait, and the earlier call learns of it", async () => {
      const { key } = granted(await client.lock({ lock: named("a") }));
      const ticketId = new Uint8Array(16).fill(1);
      const earlier = failure(client.lock({ lock: named("a"), ticketId }));
      await waiters("a", 1);
      const later = client.lock({ lock: named("a"), ticketId });
      expect(await earlier).toMatchObject({ code: Code.Aborted, reason: Reason.SUPERSEDED });
      await client.unlock({ key });
      expect(granted(await later).token).toBeGreaterThan(0n);
    });

    test("the same ticket id confirms the same grant", async () => {
      const ticketId = new Uint8Array(16).fill(1);
      const first = granted(await client.lock({ lock: named("a"), ticketId }));
      const again = granted(await client.lock({ lock: named("a"), ticketId }));
      expect(again.token).toBe(first.token);
      expect(again.key).toEqual(first.key);
    });

    test("more waiters than allowed are turned away", async () => {
      await client.lock({ lock: named("a") });
      const waiting = [1, 2].map(() => failure(client.lock({ lock: named("a") })));
      await waiters("a", 2);
      expect(await failure(client.lock({ lock: named("a") }))).toMatchObject({
        code: Code.ResourceExhausted,
        reason: Reason.TOO_MANY_WAITERS,
      });
      await locks.stop();
      for (const call of waiting) {
        expect(await call).toMatchObject({ code: Code.Unavailable, reason: Reason.SHUTTING_DOWN });
      }
    });

    // The mode of a later version, as it is read from the wire.
    const { mode: unknownMode } = fromBinary(LockRequestSchema, new Uint8Array([0x20, 7]));
    const int64Max = 2n ** 63n - 1n;
    const invalid: [string, MessageInitShape<typeof LockRequestSchema>, Reason, RegExp][] = [
      ["no name", {}, Reason.INVALID_NAME, /1 to 1024 bytes/],
      ["an empty name", { lock: named("") }, Reason.INVALID_NAME, /1 to 1024 bytes/],
      ["a long name", { lock: named("x".repeat(1025)) }, Reason.INVALID_NAME, /1025 bytes.*1 to 1024 bytes/],
      [
        "a short ticket id",
        { lock: named("a"), ticketId: new Uint8Array(15) },
        Reason.INVALID_TICKET_ID,
        /15 bytes.*16/,
      ],
      ["a negative TTL", { lock: named("a"), ttlMs: -1n }, Reason.INVALID_TTL, /-1 ms.*10 to 86400000 ms/],
      ["a TTL below the least", { lock: named("a"), ttlMs: 9n }, Reason.INVALID_TTL, /10 to 86400000 ms/],
      ["a huge TTL", { lock: named("a"), ttlMs: int64Max }, Reason.INVALID_TTL, /10 to 86400000 ms/],
      ["a hugely negative TTL", { lock: named("a"), ttlMs: -int64Max }, Reason.INVALID_TTL, /10 to 86400000 ms/],
      ["a negative wait", { lock: named("a"), waitMs: -1n }, Reason.INVALID_WAIT, /-1 ms/],
      ["a long owner", { lock: named("a"), owner: "x".repeat(257) }, Reason.INVALID_OWNER, /257 bytes.*256/],
      ["an unknown mode", { lock: named("a"), mode: unknownMode }, Reason.INVALID_MODE, /7.*LOCK_MODE_EXCLUSIVE/],
    ];
    test.each(invalid)("refuses %s", async (_, request, reason, message) => {
      const failed = await failure(client.lock(request));
      expect(failed).toMatchObject({ code: Code.InvalidArgument, reason });
      expect(failed.message).toMatch(message);
    });

    test("a wait longer than any timer is a wait without end", async () => {
      const { key } = granted(await client.lock({ lock: named("a") }));
      const second = client.lock({ lock: named("a"), waitMs: int64Max });
      await waiters("a", 1);
      await client.unlock({ key });
      expect((await second).outcome.case).toBe("granted");
    });

    test("a message larger than allowed is refused", async () => {
      const request = { lock: named("a"), owner: "x".repeat(limits.maxMessageBytes) };
      expect(await failure(client.lock(request))).toMatchObject({ code: Code.ResourceExhausted });
    });
  });

  describe("Unlock and Renew", () => {
    test("unlock releases, and a repeated one says that nothing was held", async () => {
      const { key } = granted(await client.lock({ lock: named("a") }));
      await client.unlock({ key });
      expect(await failure(client.unlock({ key }))).toMatchObject({
        code: Code.FailedPrecondition,
        reason: Reason.NOT_HELD,
      });
    });

    test("renew keeps the TTL or sets another", async () => {
      const { key } = granted(await client.lock({ lock: named("a"), ttlMs: 5_000n }));
      expect((await client.renew({ key })).ttlMs).toBe(5_000n);
      expect((await client.renew({ key, ttlMs: 7_000n })).ttlMs).toBe(7_000n);
      expect((await client.renew({ key })).ttlMs).toBe(7_000n);
    });

    test("renew of what is not held fails", async () => {
      const { key } = granted(await client.lock({ lock: named("a") }));
      await client.unlock({ key });
      expect(await failure(client.renew({ key }))).toMatchObject({
        code: Code.FailedPrecondition,
        reason: Reason.NOT_HELD,
      });
    });

    test.each([-1n, 9n, 2n ** 63n - 1n])("renew refuses a TTL of %s ms", async (ttlMs) => {
      const { key } = granted(await client.lock({ lock: named("a") }));
      expect(await failure(client.renew({ key, ttlMs }))).toMatchObject({
        code: Code.InvalidArgument,
        reason: Reason.INVALID_TTL,
      });
    });

    test.each([new Uint8Array(), new Uint8Array([1, 2, 3]), new TextEncoder().encode("metasrv/locks/a/1")])(
      "bytes that are no key are refused (%#)",
      async (key) => {
        const expected = { code: Code.InvalidArgument, reason: Reason.INVALID_KEY };
        expect(await failure(client.unlock({ key }))).toMatchObject(expected);
        expect(await failure(client.renew({ key }))).toMatchObject(expected);
      },
    );
  });
});
