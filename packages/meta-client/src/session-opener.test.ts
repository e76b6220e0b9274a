import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { afterEach, describe, expect, test } from "@jest/globals";
import { ErrorDetailSchema, type LockService, Reason } from "@metasrv/proto/metasrv/v1";
import { backgroundClock, gatherByEventLoop } from "@metasrv/wire";
import type { ClientEvents } from "./client-events.js";
import { Connection } from "./connection.js";
import { Credentials } from "./credentials.js";
import { SessionOpener } from "./session-opener.js";
import type { SessionStream } from "./session-stream.js";
import { openSessionWire } from "./session-wire.js";
import { http1LockServer, lockServer, silentServer, streamServer, type TestServer } from "./testing/http2-server.js";
import { Inbox } from "./testing/inbox.js";
import { defaultTiming } from "./timing.js";
import { checkTls } from "./tls-options.js";

type Service = Partial<ServiceImpl<typeof LockService>>;

const opened: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of opened.splice(0).reverse()) {
    await each[Symbol.asyncDispose]();
  }
});

const terms = { heartbeatMs: 60_000n, timeoutMs: 180_000n, maxCommands: 1_000 };
const patienceMs = 100;

/** A service that opens sessions by both carriers, after some time each or never, and notes which were opened and which ended. */
function sessions({ streamAfterMs = 0, attachAfterMs = 0 } = {}) {
  const came: string[] = [];
  const ended = new Inbox<string>();
  const end: (() => void)[] = [];
  async function* session<T>(kind: string, afterMs: number, first: T, { signal }: HandlerContext): AsyncGenerator<T> {
    came.push(kind);
    const over = new Promise<void>((resolve) => {
      end.push(resolve);
      signal.addEventListener("abort", () => {
        ended.push(kind);
      });
    });
    if (Number.isFinite(afterMs)) {
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      // Nothing is answered to whoever is gone: the adapter would report that nobody can hear it.
      if (!signal.aborted) {
        yield first;
      }
    }
    await over;
  }
  const service: Service = {
    session: (_, context) => session("stream", streamAfterMs, { terms }, context),
    attach: (_, context) =>
      session("attach", attachAfterMs, { attachId: new Uint8Array(16), response: { terms } }, context),
  };
  return {
    service,
    came,
    ended,
    endAll: () => {
      end.splice(0).forEach((one) => {
        one();
      });
    },
  };
}

async function openerTo(starting: Promise<TestServer>, options: { readonly openTimeoutMs?: number } = {}) {
  const server = await starting;
  const endpoint = `http://${server.authority}`;
  const connection = new Connection({
    ...defaultTiming,
    endpoint,
    protocol: "connect",
    tls: checkTls(undefined),
    credentials: new Credentials(),
    clock: backgroundClock,
  });
  const told: ClientEvents["connected"][] = [];
  const opener = new SessionOpener({
    ...defaultTiming,
    endpoint,
    connection,
    openWire: (listener) => openSessionWire(connection, listener),
    clock: backgroundClock,
    gather: gatherByEventLoop,
    openTimeoutMs: 10_000,
    carrierPatienceMs: patienceMs,
    listener: {
      onConnected: (event) => told.push(event),
      onDisconnected: () => undefined,
      onDraining: () => undefined,
    },
    ...options,
  });
  opened.push(server, {
    [Symbol.asyncDispose]: () => {
      connection.end();
      return Promise.resolve();
    },
  });
  return { opener, connection, told, server };
}

const failureOf = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error);

async function broken(stream: SessionStream): Promise<void> {
  while (!stream.broken) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const unimplemented = () => {
  throw new ConnectError("no streams here", Code.Unimplemented);
};

describe("a session is opened", () => {
  test("by a stream where that passes, and nothing else is tried", async () => {
    const { service, came } = sessions();
    const { opener, connection, told } = await openerTo(lockServer(service));
    await opener.open();
    await new Promise((resolve) => setTimeout(resolve, 2 * patienceMs));
    expect(came).toEqual(["stream"]);
    expect(connection.carrier).toBe("stream");
    expect(told).toMatchObject([{ carrier: "stream", httpVersion: "2", why: "HTTP/2 goes all the way" }]);
  });

  test("over HTTP/1.1 where that is what is answered", async () => {
    const { service, came } = sessions();
    const { opener, connection, told, server } = await openerTo(http1LockServer(service));
    await opener.open();
    expect(came).toEqual(["attach"]);
    expect(connection.carrier).toBe("attach-http1");
    expect(told).toEqual([
      {
        endpoint: `http://${server.authority}`,
        carrier: "attach",
        httpVersion: "1.1",
        why: "the endpoint answers HTTP/2 in HTTP/1.1",
      },
    ]);
  });

  test("by Attach where a stream is refused", async () => {
    const { service, came } = sessions();
    const { opener, connection, told } = await openerTo(lockServer({ ...service, session: unimplemented }));
    const startedAtMs = backgroundClock.now();
    await opener.open();
    expect(backgroundClock.now() - startedAtMs).toBeLessThan(patienceMs);
    expect(came).toEqual(["attach"]);
    expect(connection.carrier).toBe("attach-http2");
    expect(told).toMatchObject([
      { carrier: "attach", httpVersion: "2", why: expect.stringContaining("no streams here") },
    ]);
  });

  test("by Attach where a stream is kept back, and the stream is given up", async () => {
    const { service, came, ended } = sessions({ streamAfterMs: Number.POSITIVE_INFINITY });
    const { opener, told } = await openerTo(lockServer(service));
    const stream = await opener.open();
    expect(came).toEqual(["stream", "attach"]);
    expect(told).toMatchObject([
      { carrier: "attach", httpVersion: "2", why: expect.stringContaining("a proxy keeps it") },
    ]);
    expect(await ended.next()).toBe("stream");
    expect(stream.broken).toBe(false);
  });

  test.each([
    ["that is slow in both ways", sessions({ streamAfterMs: 2 * patienceMs, attachAfterMs: 2 * patienceMs }).service],
    ["that knows only streams", { session: sessions({ streamAfterMs: 2 * patienceMs }).service.session }],
  ])("by a stream at a server %s", async (_, service) => {
    const { opener, connection, told } = await openerTo(lockServer(service as Service));
    const stream = await opener.open();
    expect(told).toMatchObject([{ carrier: "stream" }]);
    expect(connection.carrier).toBe("stream");
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(stream.broken).toBe(false);
  });
});

describe("a session is not opened", () => {
  test("by another carrier when the server itself has refused it", async () => {
    const { service, came } = sessions();
    const refused = new ConnectError("stopping", Code.Unavailable, undefined, [
      { desc: ErrorDetailSchema, value: { reason: Reason.SHUTTING_DOWN } },
    ]);
    const session = () => {
      throw refused;
    };
    const { opener } = await openerTo(lockServer({ ...service, session }));
    expect(await failureOf(opener.open())).toMatchObject({ rawMessage: "stopping" });
    expect(came).toEqual([]);
  });

  test("by another carrier when the connection broke", async () => {
    const { opener, connection } = await openerTo(
      streamServer((stream) => {
        stream.session?.destroy();
      }),
    );
    await failureOf(opener.open());
    expect(connection.carrier).toBe("stream");
  });

  test("by a server that knows neither: the error is that of the stream", async () => {
    const { opener } = await openerTo(lockServer({ session: unimplemented }));
    expect(await failureOf(opener.open())).toMatchObject({ code: Code.Unimplemented, rawMessage: "no streams here" });
  });

  test("by one that is silent", async () => {
    const { opener } = await openerTo(silentServer(), { openTimeoutMs: 3 * patienceMs });
    expect(await failureOf(opener.open())).toMatchObject({ rawMessage: `no session within ${3 * patienceMs} ms` });
  });
});

describe("what was found out", () => {
  test.each([
    ["HTTP/1.1", (service: Service) => http1LockServer(service)],
    ["HTTP/2", (service: Service) => lockServer({ ...service, session: unimplemented })],
  ])("is remembered, and told with each session: Attach over %s", async (_, serve) => {
    const { service, came, endAll } = sessions();
    const { opener, told } = await openerTo(serve(service));
    for (let n = 0; n < 3; n++) {
      const stream = await opener.open();
      endAll();
      await broken(stream);
    }
    expect(came).toEqual(["attach", "attach", "attach"]);
    expect(told).toEqual([told[0], told[0], told[0]]);
  });

  test("is forgotten when it opens no session any more", async () => {
    const { service, endAll } = sessions();
    let streams = false;
    const session: Service["session"] = (requests, context) => {
      if (!streams || service.session === undefined) {
        return unimplemented();
      }
      return service.session(requests, context);
    };
    const attach: Service["attach"] = (request, context) => {
      if (streams || service.attach === undefined) {
        throw new ConnectError("no attach here", Code.Unimplemented);
      }
      return service.attach(request, context);
    };
    const { opener, told } = await openerTo(lockServer({ session, attach }));
    const stream = await opener.open();
    endAll();
    await broken(stream);
    streams = true;
    expect(await failureOf(opener.open())).toMatchObject({ rawMessage: "no attach here" });
    await opener.open();
    expect(told.map(({ carrier }) => carrier)).toEqual(["attach", "stream"]);
  });
});
