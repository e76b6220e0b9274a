import { getEventListeners } from "node:events";
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from "node:http2";
import { createRouterTransport, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { systemClock } from "@metasrv/wire";
import { type Logger, pino } from "pino";
import { openAccess } from "../src/api/access.js";
import type { Cluster, Locks, Operated } from "../src/api/locks.js";
import { Readiness } from "../src/api/readiness.js";
import { createHttpHandler } from "../src/http/http-handler.js";
import { Listener } from "../src/http/listener.js";
import { createProbes } from "../src/http/probes.js";
import { createRoutes } from "../src/http/routes.js";
import { createStreamHandler } from "../src/http/stream-handler.js";
import { createMemoryLog } from "../src/log/memory-log.js";
import { defaultLimits, type Limits } from "../src/model/limits.js";
import { LockError } from "../src/model/lock-errors.js";
import { LockNode } from "../src/node/lock-node.js";
import { OpenSessions } from "../src/session/open-sessions.js";
import type { ServiceDependencies } from "../src/session/service-dependencies.js";

/** What is served, and how. */
export interface ServedOptions {
  /** Locks in memory by default. */
  readonly locks?: Locks;
  readonly limits?: Partial<Limits>;
  readonly logger?: Logger;
  /** Whether the calls on which the load lies go round Connect, as they do in the server; they do by default. */
  readonly direct?: boolean;
}

async function* none(): AsyncGenerator<never> {
  // Nobody looks.
}

/** What services are made of, around locks that are the test's own. */
export function dependenciesAround(locks: Locks, given: Partial<ServiceDependencies> = {}): ServiceDependencies {
  const { clock = systemClock } = given;
  const cluster: Cluster = { members: () => [], watch: () => () => undefined };
  const nothing = () => Promise.reject(new Error("this test has nothing to inspect"));
  const operated: Operated = {
    inspection: { get: nothing, list: nothing, blocked: nothing, forced: nothing },
    watch: { one: () => none(), many: () => none() },
    force: nothing,
  };
  return {
    access: openAccess(locks, operated),
    cluster,
    sessions: new OpenSessions(),
    readiness: new Readiness({ clock, problems: () => [] }),
    limits: defaultLimits,
    clock,
    logger: pino({ level: "silent" }),
    ...given,
  };
}

/** The services behind a listener, as the server has them. */
export class Served implements AsyncDisposable {
  readonly #sessions: ClientHttp2Session[] = [];
  readonly #shutdown: AbortController;
  readonly dependencies: ServiceDependencies;
  readonly #listener: Listener;
  readonly #store: LockNode | undefined;

  private constructor(
    dependencies: ServiceDependencies,
    listener: Listener,
    shutdown: AbortController,
    store: LockNode | undefined,
  ) {
    this.dependencies = dependencies;
    this.#listener = listener;
    this.#shutdown = shutdown;
    this.#store = store;
  }

  static async start(options: ServedOptions = {}): Promise<Served> {
    const { direct = true, logger = pino({ level: "silent" }) } = options;
    const limits = { ...defaultLimits, ...options.limits };
    const clock = systemClock;
    let store: LockNode | undefined;
    let dependencies: ServiceDependencies;
    if (options.locks === undefined) {
      const locks = new LockNode({ log: createMemoryLog({ fatal }), clock, limits, logger });
      await locks.start({ address: "test:1", version: "0", startedUnixMs: 0 });
      const sessions = new OpenSessions();
      const readiness = new Readiness({ clock, problems: () => [...locks.problems(), ...sessions.problems()] });
      dependencies = {
        access: openAccess(locks, locks),
        cluster: locks.cluster,
        sessions,
        readiness,
        limits,
        clock,
        logger,
      };
      store = locks;
    } else {
      dependencies = dependenciesAround(options.locks, { limits, clock, logger });
    }
    const shutdown = new AbortController();
    const shutdownSignal = shutdown.signal;
    const listener = await Listener.start({
      bind: { host: "127.0.0.1", port: 0 },
      handler: createHttpHandler({
        routes: createRoutes(dependencies),
        probes: createProbes(dependencies.readiness),
        shutdownSignal,
        logger,
      }),
      ...(direct && { streamHandler: createStreamHandler(dependencies, shutdownSignal) }),
      clock,
      logger,
    });
    return new Served(dependencies, listener, shutdown, store);
  }

  get url(): string {
    return `http://${this.#listener.address}`;
  }

  /** The locks in memory. */
  get store(): LockNode {
    if (this.#store === undefined) {
      throw new Error("these locks are the test's own");
    }
    return this.#store;
  }

  /** Who waits for the shutdown: the open streams. */
  get shutdownListeners(): number {
    return getEventListeners(this.#shutdown.signal, "abort").length;
  }

  /** A connection of the test's own. */
  connect(): ClientHttp2Session {
    const session = connect(this.url);
    session.on("error", () => undefined);
    this.#sessions.push(session);
    return session;
  }

  /** Stops as the server does: the locks first, then what is still open. */
  async stop(): Promise<void> {
    const drained = this.#listener.stop(2_000);
    await this.#store?.stop();
    this.#shutdown.abort(new LockError("shutting-down", "the server is stopping; ask another one"));
    await drained;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions) {
      session.destroy();
    }
    await this.#store?.stop();
    await this.#listener.stop(0);
  }
}

/** A message with its prefix. */
export function envelope(message: Uint8Array, flags = 0): Buffer {
  const prefix = Buffer.from([flags, 0, 0, 0, 0]);
  prefix.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([prefix, message]);
}

/** What a request over HTTP/2 was answered with. */
export interface RawAnswer {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly trailers: IncomingHttpHeaders;
  /** How the stream was closed. */
  readonly code: number;
}

/** Makes a request over HTTP/2, byte by byte the test's own. */
export async function rawRequest(
  session: ClientHttp2Session,
  headers: Record<string, string>,
  body: Uint8Array,
): Promise<RawAnswer> {
  const stream = session.request({ ":method": "POST", ...headers });
  const chunks: Buffer[] = [];
  let answered: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders = {};
  stream.on("response", (received: IncomingHttpHeaders) => (answered = received));
  stream.on("trailers", (received: IncomingHttpHeaders) => (trailers = received));
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("error", () => undefined);
  stream.end(body);
  await new Promise((resolve) => stream.on("close", resolve));
  return { headers: answered, body: Buffer.concat(chunks), trailers, code: stream.rstCode };
}

/** The ways to a service, each of which must behave alike. */
export const ways: readonly [string, (options?: ServedOptions) => Promise<{ served: Served; transport: Transport }>][] =
  [
    [
      "in one process",
      async (options) => {
        const served = await Served.start(options);
        return { served, transport: createRouterTransport(createRoutes(served.dependencies)) };
      },
    ],
    [
      "gRPC by Connect",
      async (options) => {
        const served = await Served.start({ ...options, direct: false });
        return { served, transport: createGrpcTransport({ baseUrl: served.url }) };
      },
    ],
    [
      "gRPC, directly",
      async (options) => {
        const served = await Served.start(options);
        return { served, transport: createGrpcTransport({ baseUrl: served.url }) };
      },
    ],
  ];

function fatal(error: Error): never {
  throw error;
}
