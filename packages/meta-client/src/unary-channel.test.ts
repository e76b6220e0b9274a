import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { describe, expect, test } from "@jest/globals";
import { ErrorDetailSchema, LockRequestSchema, type LockService, Reason } from "@metasrv/proto/metasrv/v1";
import { backgroundClock } from "@metasrv/wire";
import { Cancellation } from "./cancellation.js";
import { Connection, type ConnectionOptions, type Protocol } from "./connection.js";
import { Credentials } from "./credentials.js";
import { EndpointFailure } from "./lock-channel.js";
import { InvalidArgumentError, LockLostError, UnexpectedError, WaitTimeoutError } from "./meta-errors.js";
import { lockServer, silentServer, type TestServer } from "./testing/http2-server.js";
import { checkTls } from "./tls-options.js";
import { UnaryChannel } from "./unary-channel.js";

const noEnd = new Cancellation();
const lockRequest = create(LockRequestSchema, { lock: { case: "name", value: "x" }, ttlMs: 5_000n });
const grant = { key: Uint8Array.of(7), token: 2n ** 63n, ttlMs: 5_000n, waitedMs: 1.5 };

/** What a test opens; closed in reverse order at its end. */
async function withServer(
  server: Promise<TestServer>,
  options: Partial<ConnectionOptions>,
  body: (channel: UnaryChannel, server: TestServer, connection: Connection) => Promise<void>,
  scheme = "http",
): Promise<void> {
  const running = await server;
  const endpoint = `${scheme}://${running.authority}`;
  const connection = new Connection({
    endpoint,
    protocol: "connect",
    tls: checkTls(undefined),
    credentials: new Credentials(),
    clock: backgroundClock,
    connectTimeoutMs: 20_000,
    pingIntervalMs: 20_000,
    pingTimeoutMs: 10_000,
    ...options,
  });
  const channel = new UnaryChannel(endpoint, connection, backgroundClock);
  try {
    await body(channel, running, connection);
  } finally {
    connection.end();
    await running[Symbol.asyncDispose]();
  }
}

/** A service in which every request waits until it is withdrawn. It tells of both. */
function waitingService(): {
  service: Partial<ServiceImpl<typeof LockService>>;
  arrived: Promise<void>;
  withdrawn: Promise<void>;
} {
  let arrive: () => void = () => undefined;
  let withdraw: () => void = () => undefined;
  return {
    arrived: new Promise((resolve) => (arrive = resolve)),
    withdrawn: new Promise((resolve) => (withdraw = resolve)),
    service: {
      lock(_, { signal }) {
        arrive();
        signal.addEventListener("abort", withdraw);
        // It never answers: the adapter would report that nobody can hear the answer.
        return new Promise(() => undefined);
      },
    },
  };
}

const failureOf = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error);

describe.each<Protocol>(["connect", "grpc"])("UnaryChannel over %s", (protocol) => {
  test("carries requests and answers", async () => {
    const seen: unknown[] = [];
    const server = lockServer({
      lock(request) {
        seen.push(request);
        return { outcome: { case: "granted", value: grant } };
      },
    });
    await withServer(server, { protocol }, async (channel) => {
      const locked = await channel.lockAlone(lockRequest, noEnd);
      expect(locked).toMatchObject({ kind: "granted", grant: { token: grant.token, ttlMs: 5_000 } });
      expect(seen).toEqual([lockRequest]);
    });
  });

  test.each([
    [Reason.INVALID_NAME, Code.InvalidArgument, InvalidArgumentError],
    [Reason.NOT_HELD, Code.FailedPrecondition, LockLostError],
    [Reason.WAIT_TIMED_OUT, Code.DeadlineExceeded, WaitTimeoutError],
    [Reason.SHUTTING_DOWN, Code.Unavailable, EndpointFailure],
  ])("reads the reason of an error from the wire: %i", async (reason, code, expected) => {
    const server = lockServer({
      lock() {
        const state = { holderOwner: "bob", holderToken: 7n, waiters: 3 };
        throw new ConnectError("because", code, undefined, [{ desc: ErrorDetailSchema, value: { reason, state } }]);
      },
    });
    await withServer(server, { protocol }, async (channel) => {
      const error = await failureOf(channel.lockAlone(lockRequest, noEnd));
      expect(error).toBeInstanceOf(expected);
      expect(error).toMatchObject({ message: "because" });
      if (expected === WaitTimeoutError) {
        expect(error).toMatchObject({ holderOwner: "bob", holderToken: 7n, waiters: 3 });
      }
    });
  });

  test("tells the server when a request is not wanted any more", async () => {
    const { service, arrived, withdrawn } = waitingService();
    await withServer(lockServer(service), { protocol }, async (channel) => {
      const scope = new Cancellation();
      const error = failureOf(channel.lockAlone(lockRequest, scope));
      await arrived;
      const reason = new Error("enough");
      scope.cancel(reason);
      expect(await error).toBe(reason);
      await withdrawn;
    });
  });

  test.each<["reset" | "goAway"]>([["reset"], ["goAway"]])("a connection that breaks by %s", async (how) => {
    const { service, arrived } = waitingService();
    await withServer(lockServer(service), { protocol }, async (channel, server) => {
      const error = failureOf(channel.lockAlone(lockRequest, noEnd));
      await arrived;
      server[how]();
      expect(await error).toBeInstanceOf(EndpointFailure);
      expect(await error).toMatchObject({ maybeApplied: true });
      // The next request makes a new connection.
      const scope = new Cancellation();
      const next = failureOf(channel.lockAlone(lockRequest, scope));
      scope.cancel(new Error("enough"));
      expect(await next).toEqual(new Error("enough"));
    });
  });

  test("a server that is silent is found dead by pings, and closing then is harmless", async () => {
    await withServer(silentServer(), { protocol, pingIntervalMs: 50, pingTimeoutMs: 50 }, async (channel) => {
      const error = await failureOf(channel.lockAlone(lockRequest, noEnd));
      expect(error).toBeInstanceOf(EndpointFailure);
      expect(error).toMatchObject({ message: expect.stringContaining("PING timed out"), maybeApplied: true });
    });
  });

  test("a server without the service", async () => {
    await withServer(lockServer({}), { protocol }, async (channel) => {
      expect(await failureOf(channel.lockAlone(lockRequest, noEnd))).toBeInstanceOf(UnexpectedError);
    });
  });
});

describe("UnaryChannel", () => {
  test("a port where nobody listens", async () => {
    const server = await silentServer();
    await server[Symbol.asyncDispose]();
    await withServer(
      Promise.resolve({ ...server, [Symbol.asyncDispose]: () => Promise.resolve() }),
      {},
      async (channel) => {
        const error = await failureOf(channel.lockAlone(lockRequest, noEnd));
        expect(error).toBeInstanceOf(EndpointFailure);
        expect(error).toMatchObject({
          message: expect.stringContaining(`connect ECONNREFUSED ${server.authority}`),
          maybeApplied: false,
        });
      },
    );
  });

  test("a connection that is not made in time", async () => {
    const unanswered = (channel: UnaryChannel): Promise<void> =>
      failureOf(channel.lockAlone(lockRequest, noEnd)).then((error) => {
        expect(error).toBeInstanceOf(EndpointFailure);
        expect(error).toMatchObject({ message: "no connection within 50 ms", maybeApplied: false });
      });
    await withServer(silentServer(), { connectTimeoutMs: 50 }, unanswered, "https");
  });

  test("a connection that is being made does not hold up a request that is withdrawn", async () => {
    await withServer(
      silentServer(),
      {},
      async (channel) => {
        const scope = new Cancellation();
        const error = failureOf(channel.lockAlone(lockRequest, scope));
        scope.cancel(new Error("enough"));
        expect(await error).toEqual(new Error("enough"));
      },
      "https",
    );
  });

  test("closing ends what is under way", async () => {
    const { service, arrived } = waitingService();
    await withServer(lockServer(service), {}, async (channel, _, connection) => {
      const error = failureOf(channel.lockAlone(lockRequest, noEnd));
      await arrived;
      connection.end();
      expect(await error).toBeInstanceOf(EndpointFailure);
    });
  });
});
