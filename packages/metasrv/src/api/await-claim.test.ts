import { Code, ConnectError, createContextValues, createHandlerContext } from "@connectrpc/connect";
import { describe, expect, jest, test } from "@jest/globals";
import { LockService } from "@metasrv/proto/metasrv/v1";
import { LockError } from "../model/lock-errors.js";
import type { ClaimListener, Grant } from "../node/claim.js";
import { awaitClaim } from "./await-claim.js";
import { callerOf, farEndKey } from "./caller.js";

const name = new TextEncoder().encode("orders/42");
const ticketId = new Uint8Array(16).fill(7);
const grant: Grant = {
  key: new Uint8Array([1, 2, 3]),
  token: 9n,
  ttlMs: 10_000,
  waitedMs: 0,
  floor: 9n,
  limit: 1,
  parts: [],
};

/** Locks that do nothing by themselves, and a call that its caller can give up. */
function setUp(options: { readonly disconnected?: boolean } = {}) {
  const claim = {
    cancel: jest.fn<() => void>(),
    detach: jest.fn<() => void>(),
    release: jest.fn(() => Promise.resolve()),
    renew: jest.fn(() => Promise.resolve(1)),
  };
  const listeners: ClaimListener[] = [];
  const locks = {
    claim: jest.fn((_: unknown, listener: ClaimListener) => {
      listeners.push(listener);
      return claim;
    }),
    unlock: jest.fn<(key: Uint8Array) => Promise<void>>(() => Promise.resolve()),
    renew: jest.fn(() => Promise.resolve(1)),
    resume: jest.fn(() => Promise.resolve({ claim, ttlMs: 1 })),
  };
  const request = new AbortController();
  const context = createHandlerContext({
    service: LockService,
    method: LockService.method.lock,
    protocolName: "grpc",
    requestMethod: "POST",
    url: "http://localhost",
    requestSignal: request.signal,
    contextValues: createContextValues().set(farEndKey, {
      disconnected: () => options.disconnected ?? false,
      reset: () => undefined,
    }),
  });
  const told = () => {
    const [listener] = listeners;
    if (listener === undefined) {
      throw new Error("no claim was made");
    }
    return listener;
  };
  return { claim, locks, request, context, told };
}

describe("awaitClaim", () => {
  test("answers with the grant, after which the end of the call means nothing", async () => {
    const { claim, locks, context, told } = setUp();
    const outcome = awaitClaim(locks, { name, ticketId }, callerOf(context));
    told().granted(grant);
    await expect(outcome).resolves.toEqual({ kind: "granted", grant });
    context.abort();
    expect(claim.cancel).not.toHaveBeenCalled();
    expect(claim.detach).not.toHaveBeenCalled();
  });

  test("a caller that gives up cancels its claim, even if it chose the ticket id", async () => {
    const { claim, locks, request, context } = setUp();
    const outcome = awaitClaim(locks, { name, ticketId }, callerOf(context));
    request.abort(new ConnectError("reset", Code.Canceled));
    await expect(outcome).rejects.toMatchObject({ reason: "canceled" });
    expect(claim.cancel).toHaveBeenCalledTimes(1);
    expect(claim.detach).not.toHaveBeenCalled();
  });

  test("a broken connection detaches a claim whose ticket id the caller knows", async () => {
    const { claim, locks, request, context } = setUp({ disconnected: true });
    const outcome = awaitClaim(locks, { name, ticketId }, callerOf(context));
    request.abort();
    await expect(outcome).rejects.toMatchObject({ reason: "canceled" });
    expect(claim.detach).toHaveBeenCalledTimes(1);
    expect(claim.cancel).not.toHaveBeenCalled();
  });

  test("a broken connection cancels a claim whose ticket id the caller does not know", async () => {
    const { claim, locks, request, context } = setUp({ disconnected: true });
    const outcome = awaitClaim(locks, { name }, callerOf(context));
    request.abort();
    await expect(outcome).rejects.toMatchObject({ reason: "canceled" });
    expect(claim.cancel).toHaveBeenCalledTimes(1);
  });

  test("a deadline cancels the claim and says what passed", async () => {
    const { claim, locks, request, context } = setUp();
    const outcome = awaitClaim(locks, { name, ticketId }, callerOf(context));
    request.abort(new ConnectError("the operation timed out", Code.DeadlineExceeded));
    await expect(outcome).rejects.toMatchObject({ reason: "wait-timed-out" });
    expect(claim.cancel).toHaveBeenCalledTimes(1);
  });

  test("a grant that comes when the caller has just gone is given back", async () => {
    const { locks, request, context, told } = setUp();
    const outcome = awaitClaim(locks, { name }, callerOf(context));
    told().granted(grant);
    request.abort();
    await expect(outcome).rejects.toMatchObject({ reason: "canceled" });
    expect(locks.unlock).toHaveBeenCalledWith(grant.key);
  });

  test("a grant whose ticket id the caller knows is left for it to ask again", async () => {
    const { locks, request, context, told } = setUp();
    const outcome = awaitClaim(locks, { name, ticketId }, callerOf(context));
    told().granted(grant);
    request.abort();
    await expect(outcome).resolves.toMatchObject({ kind: "granted" });
    expect(locks.unlock).not.toHaveBeenCalled();
  });

  test("does not make a claim for a caller that has gone already", async () => {
    const { locks, request, context } = setUp();
    request.abort();
    await expect(awaitClaim(locks, { name }, callerOf(context))).rejects.toMatchObject({ reason: "canceled" });
    expect(locks.claim).not.toHaveBeenCalled();
  });

  test("passes on what the store says", async () => {
    const { locks, context, told } = setUp();
    const outcome = awaitClaim(locks, { name }, callerOf(context));
    const error = new LockError("store-full", "out of space");
    told().failed(error);
    await expect(outcome).rejects.toBe(error);
  });
});
