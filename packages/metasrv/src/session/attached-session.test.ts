import { Writable } from "node:stream";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterEach, describe, expect, test } from "@jest/globals";
import {
  type AttachResponse,
  ErrorDetailSchema,
  LockService,
  Reason,
  type SessionCommandSchema,
  type SessionResponse,
  SessionResponseSchema,
} from "@metasrv/proto/metasrv/v1";
import { pino } from "pino";
import { Served, type ServedOptions } from "../../test-support/served.js";
import { shuttingDown } from "../model/lock-errors.js";

type Command = MessageInitShape<typeof SessionCommandSchema>;

let tickets = 0;

function lock(number: number, name: string): Command {
  const ticketId = Buffer.alloc(16);
  ticketId.writeUInt32BE(++tickets);
  return { number, command: { case: "lock", value: { lock: { case: "name", value: name }, ticketId } } };
}

function unlock(number: number, of: number): Command {
  return { number, command: { case: "unlock", value: { lock: of } } };
}

/** A session by Attach, and its client. */
class Attached {
  readonly #client: Client<typeof LockService>;
  readonly #abort = new AbortController();
  readonly #responses: AsyncIterator<AttachResponse>;
  readonly ids: string[] = [];
  #sequence = 0n;
  id: Uint8Array = new Uint8Array();
  headers = new Headers();

  constructor(transport: Transport) {
    this.#client = createClient(LockService, transport);
    const onHeader = (headers: Headers) => (this.headers = headers);
    this.#responses = this.#client.attach({}, { signal: this.#abort.signal, onHeader })[Symbol.asyncIterator]();
  }

  static async open(transport: Transport): Promise<Attached> {
    const attached = new Attached(transport);
    expect((await attached.message())?.terms).toBeDefined();
    return attached;
  }

  /** The next message that is more than a heartbeat; none at the end. */
  async message(): Promise<SessionResponse | undefined> {
    for (;;) {
      const next = await this.#responses.next();
      if (next.done === true) {
        return undefined;
      }
      const { attachId, response = create(SessionResponseSchema) } = next.value;
      if (attachId.length > 0) {
        this.id = attachId;
        this.ids.push(Buffer.from(attachId).toString("hex"));
      }
      if (response.events.length > 0 || response.terms !== undefined || response.draining) {
        return response;
      }
    }
  }

  async events(): Promise<string[] | undefined> {
    return (await this.message())?.events.map(({ number, event }) => `${number} ${event.case ?? ""}`);
  }

  async send(...commands: Command[]): Promise<void> {
    await this.#client.send({ attachId: this.id, sequence: ++this.#sequence, request: { commands } });
  }

  async repeat(sequence: bigint, ...commands: Command[]): Promise<void> {
    await this.#client.send({ attachId: this.id, sequence, request: { commands } });
  }

  async end(): Promise<void> {
    await this.#client.send({ attachId: this.id, sequence: ++this.#sequence, last: true });
  }

  abort(): void {
    this.#abort.abort();
  }
}

async function failure(promise: Promise<unknown>) {
  const error = await promise.then(
    () => {
      throw new Error("expected a failure");
    },
    (reason: unknown) => ConnectError.from(reason),
  );
  return { code: error.code, reason: error.findDetails(ErrorDetailSchema)[0]?.reason };
}

async function waiters(served: Served, name: string, count: number): Promise<void> {
  while (served.store.state(Buffer.from(name)).waiters !== count) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const transports: [string, (url: string) => Transport][] = [
  ["Connect over HTTP/1.1", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" })],
  ["Connect over HTTP/2", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" })],
  ["gRPC-Web over HTTP/1.1", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
  ["gRPC", (baseUrl) => createGrpcTransport({ baseUrl })],
];

describe.each(transports)("%s", (_, transportTo) => {
  let served: Served;

  async function start(options?: ServedOptions): Promise<Transport> {
    served = await Served.start(options);
    return transportTo(served.url);
  }

  afterEach(async () => {
    await served[Symbol.asyncDispose]();
  });

  test("locks are asked for, granted and released, each once", async () => {
    const transport = await start();
    const client = await Attached.open(transport);
    await client.send(lock(1, "a"), lock(2, "a"));
    expect(await client.events()).toEqual(["1 granted"]);
    await client.repeat(1n, lock(1, "a"), lock(2, "a"));
    await client.send(unlock(3, 1));
    await client.repeat(2n, unlock(3, 1));
    const rest: string[] = [];
    while (rest.length < 2) {
      rest.push(...((await client.events()) ?? []));
    }
    expect(rest.sort()).toEqual(["2 granted", "3 unlocked"]);
    expect(client.ids).toHaveLength(1);
    expect(client.headers.get("x-accel-buffering")).toBe("no");
    client.abort();
  });

  test("a client that ends its requests is answered, and then the stream ends", async () => {
    const transport = await start();
    const client = await Attached.open(transport);
    await client.send(lock(1, "a"));
    expect(await client.events()).toEqual(["1 granted"]);
    await client.send(unlock(2, 1));
    await client.end();
    expect(await client.events()).toEqual(["2 unlocked"]);
    expect(await client.events()).toBeUndefined();
    expect(await failure(client.send())).toEqual({ code: Code.FailedPrecondition, reason: Reason.NOT_ATTACHED });
    expect(served.dependencies.sessions.size).toBe(0);
  });

  test("a client that breaks off is forgotten; its waits keep their place for the grace", async () => {
    const transport = await start({ limits: { waiterGraceMs: 200 } });
    const client = await Attached.open(transport);
    await client.send(lock(1, "a"), lock(2, "a"));
    await waiters(served, "a", 1);
    client.abort();
    while (served.dependencies.sessions.size > 0) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(served.store.state(Buffer.from("a")).waiters).toBe(1);
    expect(await failure(client.send())).toMatchObject({ reason: Reason.NOT_ATTACHED });
    await waiters(served, "a", 0);
  });

  test("a client that gives no sign of life is given up", async () => {
    const transport = await start({ limits: { heartbeatMs: 20, sessionTimeoutMs: 60 } });
    const client = await Attached.open(transport);
    // With the reason, or with the connection: whichever reaches the client first.
    await failure(client.message());
    expect(served.dependencies.sessions.size).toBe(0);
  });

  test("a command that cannot be ends the stream with what was wrong", async () => {
    const transport = await start();
    const client = await Attached.open(transport);
    await client.send(lock(0, "a"));
    expect(await failure(client.message())).toEqual({ code: Code.InvalidArgument, reason: Reason.INVALID_COMMAND });
  });

  test("draining is told, and what is sent meanwhile is answered", async () => {
    const transport = await start();
    const { sessions, clock } = served.dependencies;
    const client = await Attached.open(transport);
    const drained = sessions.drain(clock, 5_000);
    expect(await client.message()).toMatchObject({ draining: true });
    await client.send(lock(1, "a"));
    expect(await client.events()).toEqual(["1 granted"]);
    await client.end();
    expect(await client.message()).toBeUndefined();
    await drained;
    const late = new Attached(transport);
    expect(await failure(late.message())).toEqual({ code: Code.Unavailable, reason: Reason.SHUTTING_DOWN });
  });

  test("a server that stops says so on the stream", async () => {
    const transport = await start();
    const client = await Attached.open(transport);
    served.dependencies.sessions.sendAway(shuttingDown());
    expect(await client.message()).toMatchObject({ draining: true });
    expect(await failure(client.message())).toEqual({ code: Code.Unavailable, reason: Reason.SHUTTING_DOWN });
  });

  test("no more attach than are allowed, and there is room again when one is gone", async () => {
    // These clients give no sign of life, and a machine with much to do needs seconds for so many.
    const transport = await start({ limits: { maxAttached: 50, sessionTimeoutMs: 60_000 } });
    const clients = await Promise.all(Array.from({ length: 50 }, () => Attached.open(transport)));
    const refused = await Promise.all(Array.from({ length: 200 }, () => failure(new Attached(transport).message())));
    expect(new Set(refused.map(({ code, reason }) => `${code} ${reason}`))).toEqual(
      new Set([`${Code.Unavailable} ${Reason.TOO_MANY_ATTACHED}`]),
    );
    expect(served.dependencies.sessions.size).toBe(50);
    await clients[0]?.end();
    expect(await clients[0]?.message()).toBeUndefined();
    (await Attached.open(transport)).abort();
    for (const client of clients) {
      client.abort();
    }
  });

  test("attach ids are never logged", async () => {
    const lines: string[] = [];
    const logger = pino(
      { level: "trace" },
      new Writable({
        write(chunk: Buffer, _encoding, done) {
          lines.push(chunk.toString());
          done();
        },
      }),
    );
    const transport = await start({ logger });
    const client = await Attached.open(transport);
    await client.send(lock(1, "a"));
    await client.events();
    await failure(client.repeat(9n));
    await client.end();
    await client.message();
    await failure(client.send());
    const log = lines.join("");
    expect(log).toContain("metasrv.v1.LockService/Attach");
    expect(log).toContain("metasrv.v1.LockService/Send");
    const id = Buffer.from(client.id);
    for (const text of [id.toString("hex"), id.toString("base64"), id.toString("latin1"), id.join(",")]) {
      expect(log).not.toContain(text);
    }
  });
});
