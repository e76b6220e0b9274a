import type { ServiceImpl } from "@connectrpc/connect";
import { describe, expect, test } from "@jest/globals";
import type { LockService } from "@metasrv/proto/metasrv/v1";
import { backgroundClock, gatherByEventLoop } from "@metasrv/wire";
import { Cancellation } from "./cancellation.js";
import { Connection, type Protocol } from "./connection.js";
import { Credentials } from "./credentials.js";
import { EndpointFailure, silent } from "./lock-channel.js";
import { UnexpectedError } from "./meta-errors.js";
import { SessionChannel, type SessionChannelOptions } from "./session-channel.js";
import { openSessionWire } from "./session-wire.js";
import { lockServer, silentServer, type TestServer } from "./testing/http2-server.js";
import { grantEvent, lockRequest, ScriptedSessions } from "./testing/scripted-session.js";
import { defaultTiming } from "./timing.js";
import { checkTls } from "./tls-options.js";

const noEnd = new Cancellation();
const defaults = {
  ...defaultTiming,
  openTimeoutMs: 10_000,
  leaveTimeoutMs: 10_000,
  listener: silent,
};
const failureOf = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error);

/** Runs a test with a channel to a server, and closes both. */
async function withChannel(
  starting: Promise<TestServer>,
  options: Partial<SessionChannelOptions> & { protocol?: Protocol },
  body: (channel: SessionChannel, server: TestServer) => Promise<void>,
): Promise<void> {
  await using server = await starting;
  const endpoint = `http://${server.authority}`;
  const connection = new Connection({
    endpoint,
    protocol: options.protocol ?? "connect",
    tls: checkTls(undefined),
    credentials: new Credentials(),
    clock: backgroundClock,
    connectTimeoutMs: 20_000,
    pingIntervalMs: 20_000,
    pingTimeoutMs: 10_000,
  });
  const openWire = openSessionWire.bind(undefined, connection);
  const parts = { connection, openWire, clock: backgroundClock, gather: gatherByEventLoop };
  const channel = new SessionChannel({ endpoint, ...parts, ...defaults, ...options });
  try {
    await body(channel, server);
  } finally {
    await channel.close(0);
  }
}

/** Unary calls that grant everything, and count. */
function unaryService(): { service: Partial<ServiceImpl<typeof LockService>>; names: unknown[] } {
  const names: unknown[] = [];
  const value = { key: Uint8Array.of(1), token: 1n, ttlMs: 10_000n };
  return {
    names,
    service: {
      lock({ lock }) {
        names.push(lock.value);
        return { outcome: { case: "granted", value } };
      },
    },
  };
}

describe.each<Protocol>(["connect", "grpc"])("SessionChannel over %s", (protocol) => {
  test("carries every request over one stream", async () => {
    const sessions = new ScriptedSessions();
    await withChannel(lockServer(sessions.service), { protocol }, async (channel) => {
      const one = channel.lock(lockRequest("one"), noEnd);
      const other = channel.lock(lockRequest("other"), noEnd);
      const session = await sessions.opened.next();
      const commands = await session.next();
      expect(commands.map(({ command }) => command.value)).toMatchObject([
        { lock: { value: "one" } },
        { lock: { value: "other" } },
      ]);
      session.send([1, grantEvent({ key: Uint8Array.of(1) })], [2, { case: "refused", value: {} }]);
      const locked = await one;
      await expect(other).resolves.toMatchObject({ kind: "refused" });
      if (locked.kind !== "granted") {
        throw new Error("expected a grant");
      }
      const { holding } = locked.grant;
      const renewed = channel.renew(holding, 5_000, noEnd);
      session.send([(await session.nextOne("renew")).number, { case: "renewed", value: { ttlMs: 5_000n } }]);
      await expect(renewed).resolves.toMatchObject({ ttlMs: 5_000 });
      const unlocked = channel.unlock(holding, noEnd);
      session.send([(await session.nextOne("unlock")).number, { case: "unlocked", value: {} }]);
      await unlocked;
      expect(sessions.opened.all).toHaveLength(1);
    });
  });

  test("says that it is too new for a server that knows nothing of sessions", async () => {
    await withChannel(lockServer(unaryService().service), { protocol }, async (channel) => {
      expect(await failureOf(channel.lock(lockRequest("one"), noEnd))).toBeInstanceOf(UnexpectedError);
    });
  });

  test.each(["reset", "goAway"] as const)("opens another stream after the connection broke: %s", async (how) => {
    const sessions = new ScriptedSessions();
    await withChannel(lockServer(sessions.service), { protocol }, async (channel, server) => {
      const error = failureOf(channel.lock(lockRequest("x"), noEnd));
      const first = await sessions.opened.next();
      await first.next();
      server[how]();
      expect(await error).toBeInstanceOf(EndpointFailure);
      expect(await error).toMatchObject({ maybeApplied: true });
      expect(await first.ended).toBe(false);
      const locked = channel.lock(lockRequest("x"), noEnd);
      const second = await sessions.opened.next();
      second.send([(await second.nextOne("lock")).number, grantEvent()]);
      await expect(locked).resolves.toMatchObject({ kind: "granted" });
    });
  });

  test("breaks off a stream whose server is silent, so that the server keeps the waits", async () => {
    const sessions = new ScriptedSessions({ heartbeatMs: 20n, timeoutMs: 50n });
    await withChannel(lockServer(sessions.service), { protocol }, async (channel) => {
      const error = failureOf(channel.lock(lockRequest("x"), noEnd));
      const session = await sessions.opened.next();
      expect(await error).toMatchObject({ message: "the server gave no sign of life for 50 ms" });
      expect(await session.ended).toBe(false);
    });
  });

  test("ends the stream well when it is closed, so that the server keeps nothing", async () => {
    const sessions = new ScriptedSessions();
    await withChannel(lockServer(sessions.service), { protocol }, async (channel) => {
      const error = failureOf(channel.lock(lockRequest("x"), noEnd));
      const session = await sessions.opened.next();
      await session.next();
      await channel.close(10_000);
      expect(await session.ended).toBe(true);
      expect(await error).toBeInstanceOf(EndpointFailure);
    });
  });
});

describe("SessionChannel", () => {
  test("asks for what no server may accept in a call of its own, which takes nothing with it", async () => {
    const { service, names } = unaryService();
    const sessions = new ScriptedSessions();
    const long = "n".repeat(20_000);
    await withChannel(lockServer({ ...service, ...sessions.service }), {}, async (channel) => {
      await channel.lock(lockRequest(long), noEnd);
      expect(names).toEqual([long]);
      expect(sessions.opened.all).toHaveLength(0);
    });
  });

  test("does not hold up a request that is withdrawn while the stream is being opened", async () => {
    await withChannel(silentServer(), {}, async (channel) => {
      const scope = new Cancellation();
      const error = failureOf(channel.lock(lockRequest("x"), scope));
      scope.cancel(new Error("enough"));
      expect(await error).toEqual(new Error("enough"));
    });
  });

  test("gives up opening a stream to a server that does not answer", async () => {
    await withChannel(silentServer(), { openTimeoutMs: 50 }, async (channel) => {
      const error = await failureOf(channel.lock(lockRequest("x"), noEnd));
      expect(error).toBeInstanceOf(EndpointFailure);
      expect(error).toMatchObject({ message: "no session within 50 ms", maybeApplied: false });
    });
  });

  test("gives a server that does not end the stream only so much time when it is closed", async () => {
    const stuck = {
      async *session() {
        yield { terms: { heartbeatMs: 60_000n, timeoutMs: 180_000n } };
        await new Promise(() => undefined);
      },
    };
    await withChannel(lockServer(stuck), {}, async (channel) => {
      const error = failureOf(channel.lock(lockRequest("x"), noEnd));
      await new Promise((resolve) => setTimeout(resolve, 100));
      await channel.close(50);
      expect(await error).toBeInstanceOf(EndpointFailure);
    });
  });
});
