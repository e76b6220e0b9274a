import { inspect } from "node:util";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { afterEach, describe, expect, test } from "@jest/globals";
import type { ClusterService, LockService } from "@metasrv/proto/metasrv/v1";
import { createCertificateAuthority } from "@metasrv/testing";
import { Cancellation } from "./cancellation.js";
import { checkClientOptions, type MetaClientOptions } from "./client-options.js";
import { systemParts } from "./client-parts.js";
import { EndpointFailure, type LockChannel, silent } from "./lock-channel.js";
import { MetaClient } from "./meta-client.js";
import { PermissionDeniedError, UnauthenticatedError, UnavailableError } from "./meta-errors.js";
import { http1LockServer, lockServer } from "./testing/http2-server.js";
import { lockRequest } from "./testing/scripted-session.js";

const noEnd = new Cancellation();
const failureOf = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error);
const terms = { heartbeatMs: 60_000n, timeoutMs: 180_000n, maxCommands: 1_000 };
const opened: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of opened.splice(0).reverse()) {
    await each[Symbol.asyncDispose]();
  }
});

/** A server that wants a token, grants every lock, and refuses locks named "secret". */
class Guarded {
  /** What calls came with, by method. */
  readonly came: [method: string, token: string | null][] = [];
  readonly sequences: bigint[] = [];
  accepts: (token: string, method: string) => boolean = () => true;
  /** Ends every watch with an error. */
  endWatches: (error: Error) => void = () => undefined;
  readonly #watched = new Promise<never>((_, reject) => (this.endWatches = reject));
  #events: (number: number, secret: boolean) => void = () => undefined;

  readonly locks: Partial<ServiceImpl<typeof LockService>> = {
    session: (requests, context) => this.#session(requests, context),
    attach: (_, context) => this.#attach(context),
    send: ({ sequence, request }, context) => {
      this.sequences.push(sequence);
      this.#check("send", context);
      this.#answer(request?.commands ?? []);
      return {};
    },
  };
  readonly cluster: Partial<ServiceImpl<typeof ClusterService>> = {
    listMembers: (_, context) => {
      this.#check("listMembers", context);
      return { members: [] };
    },
    watchMembers: (_, context) => this.#watch(context),
  };

  #check(method: string, { requestHeader }: HandlerContext): void {
    const token = requestHeader.get("authorization");
    this.came.push([method, token]);
    if (token === null || !this.accepts(token.replace("Bearer ", ""), method)) {
      throw new ConnectError("the token is unknown here; ask for a new one", Code.Unauthenticated);
    }
  }

  #answer(
    commands: readonly {
      readonly number: number;
      readonly command: { readonly case?: string | undefined; readonly value?: unknown };
    }[],
  ): void {
    for (const { number, command } of commands) {
      const { lock } = command.value as { readonly lock?: { readonly value?: unknown } };
      this.#events(number, lock?.value === "secret");
    }
  }

  async *#responses() {
    const events: { number: number; secret: boolean }[] = [];
    let wake = (): void => undefined;
    this.#events = (number, secret) => {
      events.push({ number, secret });
      wake();
    };
    yield { terms };
    // Once the client is gone, nothing is answered: the adapter would report that nobody can hear it.
    for (;;) {
      for (const { number, secret } of events.splice(0)) {
        const event = secret
          ? { case: "failed" as const, value: { code: Code.PermissionDenied, message: "secret may not be locked" } }
          : { case: "granted" as const, value: { key: Uint8Array.of(7), token: 42n, ttlMs: 10_000n } };
        yield { events: [{ number, event }] };
      }
      await new Promise<void>((resolve) => (wake = resolve));
    }
  }

  async *#session(requests: Parameters<NonNullable<typeof this.locks.session>>[0], context: HandlerContext) {
    this.#check("session", context);
    void (async () => {
      for await (const { commands } of requests) {
        this.#answer(commands);
      }
    })().catch(() => undefined);
    yield* this.#responses();
  }

  async *#attach(context: HandlerContext) {
    this.#check("attach", context);
    for await (const response of this.#responses()) {
      yield { attachId: new Uint8Array(16), response };
    }
  }

  async *#watch(context: HandlerContext) {
    this.#check("watchMembers", context);
    yield { members: [] };
    await this.#watched;
  }
}

async function guarded(server: typeof lockServer, options: Partial<MetaClientOptions>) {
  const guard = new Guarded();
  const running = await server(guard.locks, guard.cluster);
  const endpoint = `http://${running.authority}`;
  const config = checkClientOptions({ endpoints: [endpoint], ...options });
  const channel: LockChannel = systemParts.createChannel(endpoint, config, systemParts, silent);
  opened.push(running, { [Symbol.asyncDispose]: () => channel.close(0) });
  return { guard, channel };
}

/** Gives token-1, token-2, … */
function counting() {
  let count = 0;
  return { token: () => Promise.resolve(`token-${++count}`), asked: () => count };
}

describe.each([
  ["HTTP/2", lockServer, "session"],
  ["HTTP/1.1", http1LockServer, "attach"],
])("a token over %s", (_, server, opening) => {
  test("goes with every call", async () => {
    const { guard, channel } = await guarded(server, { token: "t", headers: { "x-a": "b" } });
    await channel.lock(lockRequest("a"), noEnd);
    await channel.members(noEnd);
    expect(guard.came.length).toBeGreaterThanOrEqual(2);
    expect(new Set(guard.came.map(([, token]) => token))).toEqual(new Set(["Bearer t"]));
  });

  test("is asked for again once when a session is refused", async () => {
    const { guard, channel } = await guarded(server, { token: counting().token });
    let refused: string | undefined;
    guard.accepts = (given, method) => method !== opening || (refused ??= given) !== given;
    await channel.lock(lockRequest("a"), noEnd);
    const [first, second, ...others] = guard.came.filter(([method]) => method === opening);
    expect(first?.[1]).toBe(`Bearer ${refused}`);
    expect(second?.[1]).not.toBe(first?.[1]);
    expect(others).toEqual([]);
  });

  test("ends the call when it is refused twice, and what the server says is kept", async () => {
    const { token } = counting();
    const { guard, channel } = await guarded(server, { token });
    guard.accepts = () => false;
    for (const call of [channel.lock(lockRequest("a"), noEnd), channel.members(noEnd)]) {
      const error = await failureOf(call);
      expect(error).toBeInstanceOf(UnauthenticatedError);
      expect(error).toMatchObject({ message: "the token is unknown here; ask for a new one" });
    }
    expect(guard.came.filter(([method]) => method === opening)).toHaveLength(2);
    expect(guard.came.filter(([method]) => method === "listMembers")).toHaveLength(2);
  });

  test("that cannot change is not sent twice", async () => {
    const { guard, channel } = await guarded(server, { token: "old" });
    guard.accepts = () => false;
    expect(await failureOf(channel.members(noEnd))).toBeInstanceOf(UnauthenticatedError);
    expect(guard.came).toEqual([["listMembers", "Bearer old"]]);
  });

  test("that is refused in the middle of a watch lets the watch begin again", async () => {
    const { token } = counting();
    const { guard, channel } = await guarded(server, { token });
    const watch = channel.watchMembers(noEnd, () => {
      guard.endWatches(new ConnectError("the token has expired", Code.Unauthenticated));
    });
    const error = await failureOf(watch);
    expect(error).toBeInstanceOf(EndpointFailure);
  });

  test("that may not do something leaves the session as it is", async () => {
    const { guard, channel } = await guarded(server, { token: "t" });
    const refused = await failureOf(channel.lock(lockRequest("secret"), noEnd));
    expect(refused).toBeInstanceOf(PermissionDeniedError);
    expect(refused).toMatchObject({ message: "secret may not be locked" });
    await channel.lock(lockRequest("a"), noEnd);
    expect(guard.came.filter(([method]) => method === opening)).toHaveLength(1);
  });
});

test("a request of an attached session whose token is refused goes again with another, under the same number", async () => {
  const { token } = counting();
  const { guard, channel } = await guarded(http1LockServer, { token });
  await channel.lock(lockRequest("a"), noEnd);
  const last = guard.came.at(-1)?.[1];
  guard.accepts = (given, method) => method !== "send" || `Bearer ${given}` !== last;
  await channel.lock(lockRequest("b"), noEnd);
  expect(guard.came.filter(([method]) => method === "attach")).toHaveLength(1);
  expect(guard.sequences).toEqual([1n, 2n, 2n]);
  expect(guard.came.at(-1)?.[1]).not.toBe(last);
});

test("neither token nor key is shown by a client or by its errors", async () => {
  const authority = await createCertificateAuthority();
  const { cert, key } = await authority.issue();
  const secrets = ["s3cr3t-t0ken", key.slice(40, 90)];
  const endpoints = ["https://127.0.0.1:1"];
  const options = { endpoints, discover: false, unavailableAfterMs: 50, token: "s3cr3t-t0ken", tls: { cert, key } };
  const meta = new MetaClient({ ...options, headers: { "x-api-key": "s3cr3t-t0ken" } });
  opened.push(meta);
  const error = await failureOf(meta.lock("a"));
  expect(error).toBeInstanceOf(UnavailableError);
  for (const shown of [meta, error]) {
    const text = inspect(shown, { depth: null, showHidden: true });
    expect(secrets.filter((secret) => text.includes(secret))).toEqual([]);
  }
});
