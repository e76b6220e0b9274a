import { describe, expect, test } from "@jest/globals";
import { create, equals, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  LockResponseSchema,
  SessionRequestSchema,
  SessionResponseSchema,
  type SessionCommand,
} from "@metasrv/proto/metasrv/v1";
import fc from "fast-check";
import { writeLockResponse } from "./lock-messages.js";
import { decode, encodeEnvelope, envelopePrefixBytes, type Writer } from "./protobuf-fields.js";
import { readSessionRequest, writeSessionResponse } from "./session-messages.js";

const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const bytes = fc.uint8Array({ maxLength: 40 });
const text = fc.string({ unit: "grapheme", maxLength: 20 });

const lock = fc.oneof(
  fc.record({ case: fc.constant("name" as const), value: text }),
  fc.record({ case: fc.constant("nameBytes" as const), value: bytes }),
  fc.constant({ case: undefined }),
);
const command = fc.oneof(
  fc.record({
    case: fc.constant("lock" as const),
    value: fc.record(
      { lock, ticketId: bytes, mode: fc.constantFrom(0, 1, 7), ttlMs: int64, waitMs: int64, owner: text },
      { requiredKeys: [] },
    ),
  }),
  fc.record({ case: fc.constant("unlock" as const), value: fc.record({ lock: uint32, key: bytes }) }),
  fc.record({ case: fc.constant("renew" as const), value: fc.record({ lock: uint32, key: bytes, ttlMs: int64 }) }),
  fc.record({ case: fc.constant("cancel" as const), value: uint32 }),
  fc.constant({ case: undefined }),
);
const state = fc.record({ holderOwner: text, holderToken: uint64, waiters: uint32 });
const grant = fc.record({
  key: bytes,
  token: uint64,
  ttlMs: int64,
  waitedMs: fc.double({ noNaN: true, noDefaultInfinity: true }),
});
const refusal = fc.record({ state }, { requiredKeys: [] });
const event = fc.oneof(
  fc.record({ case: fc.constant("granted" as const), value: grant }),
  fc.record({ case: fc.constant("refused" as const), value: refusal }),
  fc.record({ case: fc.constant("unlocked" as const), value: fc.constant({}) }),
  fc.record({ case: fc.constant("renewed" as const), value: fc.record({ ttlMs: int64 }) }),
  fc.record({
    case: fc.constant("failed" as const),
    value: fc.record({ code: uint32, message: text, detail: fc.record({ reason: fc.constantFrom(0, 8), state }) }),
  }),
  fc.record({ case: fc.constant("lost" as const), value: fc.constantFrom(0, 1, 2, 3) }),
  fc.constant({ case: undefined }),
);

function written<T>(message: T, write: (writer: Writer, message: T) => void): Buffer {
  const envelope = encodeEnvelope(message, write);
  expect(envelope[0]).toBe(0);
  expect(envelope.readUInt32BE(1)).toBe(envelope.length - envelopePrefixBytes);
  return envelope.subarray(envelopePrefixBytes);
}

describe("messages written field by field", () => {
  test("requests are read as protobuf-es reads them", () => {
    fc.assert(
      fc.property(fc.array(fc.record({ number: uint32, command }), { maxLength: 5 }), (commands) => {
        const request = create(SessionRequestSchema, { commands } as MessageInitShape<typeof SessionRequestSchema>);
        const sent = Buffer.from(toBinary(SessionRequestSchema, request));
        const read = decode(SessionRequestSchema, sent, readSessionRequest);
        // A message made by hand lacks nothing that protobuf-es would need to write it.
        expect(toBinary(SessionRequestSchema, read)).toEqual(new Uint8Array(sent));
        expect(equals(SessionRequestSchema, read, fromBinary(SessionRequestSchema, sent))).toBe(true);
      }),
    );
  });

  test("responses are read by protobuf-es", () => {
    const terms = fc.record({ heartbeatMs: int64, timeoutMs: int64, maxCommands: uint32 });
    const message = fc.record(
      { events: fc.array(fc.record({ number: uint32, event }), { maxLength: 5 }), terms },
      { requiredKeys: ["events"] },
    );
    fc.assert(
      fc.property(message, (init) => {
        const response = create(SessionResponseSchema, init as MessageInitShape<typeof SessionResponseSchema>);
        const read = fromBinary(SessionResponseSchema, written(response, writeSessionResponse));
        expect(equals(SessionResponseSchema, read, response)).toBe(true);
      }),
    );
    const outcome = fc.oneof(
      fc.record({ case: fc.constant("granted" as const), value: grant }),
      fc.record({ case: fc.constant("refused" as const), value: refusal }),
      fc.constant({ case: undefined }),
    );
    fc.assert(
      fc.property(outcome, (init) => {
        const response = create(LockResponseSchema, { outcome: init as { case: undefined } });
        const read = fromBinary(LockResponseSchema, written(response, writeLockResponse));
        expect(equals(LockResponseSchema, read, response)).toBe(true);
      }),
    );
  });

  test("bytes that were damaged are read as protobuf-es reads them, or refused as it refuses them", () => {
    const request = create(SessionRequestSchema, {
      commands: [
        { number: 1, command: { case: "lock", value: { lock: { case: "name", value: "größe" }, ttlMs: 300n } } },
        { number: 2, command: { case: "renew", value: { key: new Uint8Array(20), ttlMs: 9n } } },
      ],
    });
    const good = toBinary(SessionRequestSchema, request);
    const damage = fc.record({ at: fc.nat(good.length - 1), byte: fc.nat(255), length: fc.nat(good.length) });
    const attempt = (read: () => { commands: SessionCommand[] }) => {
      try {
        const { commands } = read();
        return toBinary(SessionRequestSchema, create(SessionRequestSchema, { commands })).join();
      } catch {
        return "refused";
      }
    };
    fc.assert(
      fc.property(damage, ({ at, byte, length }) => {
        const bad = Buffer.from(good);
        bad[at] = byte;
        const cut = bad.subarray(0, Math.max(at, length));
        const ours = attempt(() => decode(SessionRequestSchema, cut, readSessionRequest));
        expect(ours).toBe(attempt(() => fromBinary(SessionRequestSchema, cut)));
      }),
      { numRuns: 2_000 },
    );
  });
});
