import { once } from "node:events";
import { constants } from "node:http2";
import { gzipSync } from "node:zlib";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { LockRequestSchema as GreptimeLockRequestSchema } from "@metasrv/proto/greptime/v1/meta";
import {
  LockRequestSchema,
  LockResponseSchema,
  RenewRequestSchema,
  UnlockRequestSchema,
} from "@metasrv/proto/metasrv/v1";
import { pino } from "pino";
import { envelope, type RawAnswer, rawRequest, Served } from "../../test-support/served.js";
import { stateOf } from "../../test-support/told.js";
import type { Locks } from "../api/locks.js";
import { LockError, type LockErrorReason } from "../model/lock-errors.js";

const lockPath = "/metasrv.v1.LockService/Lock";
const grpc = { "content-type": "application/grpc", te: "trailers" };
const state = stateOf("orders – 7 %", 42n, 3);

function lockRequest(request: MessageInitShape<typeof LockRequestSchema> = {}): Buffer {
  const message = create(LockRequestSchema, { lock: { case: "name", value: "a" }, ...request });
  return envelope(toBinary(LockRequestSchema, message));
}

/** Locks on which everything fails: `lock` after a while, the others at once. */
function failingLocks(error: Error): Locks {
  const fails = () => Promise.reject(error);
  return {
    claim: (_, listener) => {
      if (!(error instanceof LockError)) {
        throw error;
      }
      queueMicrotask(() => {
        listener.failed(error);
      });
      return { cancel: () => undefined, detach: () => undefined, release: fails, renew: fails };
    },
    unlock: fails,
    renew: fails,
    resume: fails,
  };
}

/**
 * The answers of both ways to the same request. Apart from the date, they may differ only in the place of the status.
 */
async function bothAnswers(
  options: Parameters<typeof Served.start>[0],
  headers: Record<string, string>,
  body: Uint8Array,
): Promise<{ readonly direct: RawAnswer; readonly connect: RawAnswer }> {
  const answers = [];
  for (const direct of [true, false]) {
    await using served = await Served.start({ ...options, direct });
    answers.push(await rawRequest(served.connect(), headers, body));
  }
  const [direct, connect] = answers;
  if (direct === undefined || connect === undefined) {
    throw new Error("an answer is missing");
  }
  return { direct, connect };
}

function statusOf({ headers, trailers, body, code }: RawAnswer) {
  const {
    "grpc-status": status,
    "grpc-message": message,
    "grpc-status-details-bin": details,
  } = { ...headers, ...trailers };
  return {
    http: headers[":status"],
    type: headers["content-type"],
    status,
    message,
    details,
    body: body.toString("hex"),
    code,
  };
}

describe("what goes round Connect is answered as by Connect", () => {
  const reasons: LockErrorReason[] = [
    "invalid-name",
    "wait-timed-out",
    "not-held",
    "too-many-waiters",
    "store-unavailable",
    "store-full",
    "shutting-down",
    "superseded",
    "canceled",
  ];
  const errors: [string, Error][] = [
    ...reasons.map((reason): [string, Error] => [
      reason,
      new LockError(reason, "größer\nthan 100 %", reason === "wait-timed-out" ? { state } : {}),
    ]),
    ["a fault", new TypeError("password of the store is hunter2")],
  ];
  const key = envelope(new Uint8Array([0x0a, 1, 7]));
  const calls: [string, Buffer][] = [
    [lockPath, lockRequest()],
    ["/metasrv.v1.LockService/Unlock", key],
    ["/metasrv.v1.LockService/Renew", key],
    ["/greptime.v1.meta.Lock/Lock", envelope(new Uint8Array([0x12, 1, 0x61]))],
    ["/greptime.v1.meta.Lock/Unlock", envelope(new Uint8Array([0x12, 1, 7]))],
  ];

  test.each(calls.flatMap(([path, body]) => errors.map(([name, error]) => [path, name, error, body] as const)))(
    "%s: %s",
    async (path, _, error, body) => {
      const locks = failingLocks(error);
      const { direct, connect } = await bothAnswers({ locks }, { ...grpc, ":path": path }, body);
      expect(statusOf(direct)).toEqual(statusOf(connect));
      expect(JSON.stringify(statusOf(direct))).not.toContain("hunter2");
    },
  );

  const long = lockRequest({ owner: "x".repeat(200) });
  const bodies: [string, Uint8Array][] = [
    ["nothing", Buffer.alloc(0)],
    ["half a prefix", long.subarray(0, 3)],
    ["half a message", long.subarray(0, 100)],
    ["two messages", Buffer.concat([lockRequest(), lockRequest()])],
    ["a message and a half", Buffer.concat([lockRequest(), long.subarray(0, 100)])],
    ["a message marked as compressed", envelope(lockRequest().subarray(5), 1)],
    ["a message that is too large", lockRequest({ owner: "x".repeat(10_000) })],
    ["a field cut off", envelope(new Uint8Array([0x0a, 5, 0x61]))],
    ["a field of another type", envelope(new Uint8Array([0x08, 1]))],
    ["no protobuf", envelope(new Uint8Array([0xff, 0xff, 0xff]))],
    ["a name that is no UTF-8", envelope(new Uint8Array([0x0a, 2, 0x61, 0xff]))],
    ["an unknown field", Buffer.from([...envelope(new Uint8Array([0x0a, 1, 0x61, 0x78, 1]))])],
    ["an unknown mode", envelope(new Uint8Array([0x0a, 1, 0x61, 0x20, 7]))],
    ["a negative TTL", lockRequest({ ttlMs: -1n })],
    ["a TTL beyond what a number can tell", lockRequest({ ttlMs: 2n ** 63n - 1n })],
    ["a bad ticket id", lockRequest({ ticketId: new Uint8Array(3) })],
  ];
  test.each(bodies)("a request of %s", async (_, body) => {
    const limits = { maxMessageBytes: 4_000 };
    const locks = failingLocks(new LockError("store-full", "this far"));
    const { direct, connect } = await bothAnswers({ locks, limits }, { ...grpc, ":path": lockPath }, body);
    expect(statusOf(direct)).toEqual(statusOf(connect));
  });

  test.each(bodies.filter(([name]) => name.includes("TTL") || name.includes("ticket") || name.includes("mode")))(
    "what the rules say to %s",
    async (_, body) => {
      const { direct, connect } = await bothAnswers({}, { ...grpc, ":path": lockPath }, body);
      expect(statusOf(direct)).toEqual(statusOf(connect));
      expect(statusOf(direct).status).toBe("3");
    },
  );

  const unusual: [string, Record<string, string>][] = [
    ["a bad time-out", { "grpc-timeout": "20 minutes" }],
    ["an unknown compression", { "grpc-encoding": "zip" }],
    ["an unknown method", { ":path": "/metasrv.v1.LockService/Lokc" }],
    ["another type", { "content-type": "application/grpc+thrift" }],
    ["GET", { ":method": "GET" }],
    ["a time-out of nothing", { "grpc-timeout": "0m" }],
  ];
  test.each(unusual)("a request with %s", async (_, headers) => {
    const all: Record<string, string> = { ...grpc, ":path": lockPath, ...headers };
    const { direct, connect } = await bothAnswers({}, all, all[":method"] === "GET" ? Buffer.alloc(0) : lockRequest());
    expect(statusOf(direct)).toEqual(statusOf(connect));
  });
});

describe("a call", () => {
  let served: Served;
  const lines: Record<string, unknown>[] = [];

  beforeEach(async () => {
    lines.length = 0;
    const write = (line: string) => {
      lines.push(JSON.parse(line) as Record<string, unknown>);
    };
    served = await Served.start({ logger: pino({ level: "debug", base: null, timestamp: false }, { write }) });
  });

  afterEach(async () => {
    await served[Symbol.asyncDispose]();
  });

  const a = Buffer.from("a");

  async function waiters(count: number): Promise<void> {
    while (served.store.state(a).waiters !== count) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  async function hold(): Promise<Uint8Array> {
    const { body } = await rawRequest(served.connect(), { ...grpc, ":path": lockPath }, lockRequest());
    const { outcome } = fromBinary(LockResponseSchema, body.subarray(5));
    if (outcome.case !== "granted") {
      throw new Error("expected a grant");
    }
    return outcome.value.key;
  }

  test("locks, renews and unlocks by the original contract and ours", async () => {
    const session = served.connect();
    const key = await hold();
    const renew = envelope(toBinary(RenewRequestSchema, create(RenewRequestSchema, { key, ttlMs: 5_000n })));
    const renewed = await rawRequest(session, { ...grpc, ":path": "/metasrv.v1.LockService/Renew" }, renew);
    expect(renewed.body).toEqual(envelope(new Uint8Array([0x08, 0x88, 0x27])));
    const unlock = envelope(toBinary(UnlockRequestSchema, create(UnlockRequestSchema, { key })));
    const unlocked = await rawRequest(session, { ...grpc, ":path": "/metasrv.v1.LockService/Unlock" }, unlock);
    expect(statusOf(unlocked)).toMatchObject({ status: "0", body: "0000000000" });
    const original = create(GreptimeLockRequestSchema, {
      header: { protocolVersion: 1n, memberId: 5n, tracingContext: { traceparent: "00" } },
      name: a,
      expireSecs: 60n,
    });
    const body = envelope(toBinary(GreptimeLockRequestSchema, original));
    const locked = await rawRequest(session, { ...grpc, ":path": "/greptime.v1.meta.Lock/Lock" }, body);
    expect(statusOf(locked)).toMatchObject({ status: "0", body: /^00000000..0a0208011227/ });
    expect(served.store.state(a).holderToken).toBeGreaterThan(0n);
  });

  test("that comes byte by byte is understood", async () => {
    const stream = served.connect().request({ ":method": "POST", ":path": lockPath, ...grpc });
    for (const byte of lockRequest()) {
      stream.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    stream.end().resume();
    const [trailers] = (await once(stream, "trailers")) as [Record<string, string>];
    expect(trailers["grpc-status"]).toBe("0");
  });

  test("that is compressed is left to Connect", async () => {
    const body = envelope(gzipSync(lockRequest().subarray(5)), 1);
    const headers = { ...grpc, ":path": lockPath, "grpc-encoding": "gzip" };
    expect(statusOf(await rawRequest(served.connect(), headers, body))).toMatchObject({ status: "0" });
  });

  test("that is too large is answered, and the connection lives on", async () => {
    const session = served.connect();
    const body = lockRequest({ owner: "x".repeat(3_000_000) });
    expect(statusOf(await rawRequest(session, { ...grpc, ":path": lockPath }, body))).toMatchObject({ status: "8" });
    expect(statusOf(await rawRequest(session, { ...grpc, ":path": lockPath }, lockRequest())).status).toBe("0");
  });

  test("that is reset has given its wait up", async () => {
    await hold();
    const stream = served.connect().request({ ":method": "POST", ":path": lockPath, ...grpc });
    stream.on("error", () => undefined);
    stream.end(lockRequest({ ticketId: new Uint8Array(16).fill(1) }));
    await waiters(1);
    stream.close(constants.NGHTTP2_CANCEL);
    await waiters(0);
    expect(lines.at(-1)).toMatchObject({ msg: "request", code: "canceled", lock: "a" });
  });

  test.each([
    ["keeps the place of a wait whose ticket id it knows", new Uint8Array(16).fill(1), 1],
    ["ends a wait whose ticket id it does not know", new Uint8Array(), 0],
  ])("whose connection breaks %s", async (_, ticketId, left) => {
    await hold();
    const session = served.connect();
    session.request({ ":method": "POST", ":path": lockPath, ...grpc }).end(lockRequest({ ticketId }));
    await waiters(1);
    session.destroy();
    while (!lines.some(({ code }) => code === "canceled")) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(served.store.state(a).waiters).toBe(left);
  });

  test("whose deadline passes is told, and leaves nothing behind", async () => {
    await hold();
    const headers = { ...grpc, ":path": lockPath, "grpc-timeout": "20m" };
    expect(statusOf(await rawRequest(served.connect(), headers, lockRequest()))).toMatchObject({
      status: "4",
      message: expect.stringContaining("deadline") as unknown,
    });
    await waiters(0);
  });

  test("with a deadline beyond any timer waits", async () => {
    const key = await hold();
    const headers = { ...grpc, ":path": lockPath, "grpc-timeout": "99999999H" };
    const answer = rawRequest(served.connect(), headers, lockRequest());
    await waiters(1);
    await served.store.unlock(key);
    expect(statusOf(await answer).status).toBe("0");
  });

  test("is logged in one line at debug", async () => {
    await hold();
    const durationMs: unknown = expect.any(Number);
    const line = { level: 20, msg: "request", method: "metasrv.v1.LockService/Lock", durationMs };
    expect(lines.slice(-1)).toEqual([{ ...line, lock: "a", code: "ok" }]);
  });

  test("that waits is told at once when the server stops", async () => {
    await hold();
    const answer = rawRequest(served.connect(), { ...grpc, ":path": lockPath }, lockRequest());
    await waiters(1);
    await served.stop();
    expect(statusOf(await answer)).toMatchObject({ status: "14" });
  });
});
