import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "@jest/globals";
import {
  LossReason,
  SessionCommandSchema,
  SessionEventSchema,
  SessionRequestSchema,
  SessionResponseSchema,
  type SessionCommand,
} from "@metasrv/proto/metasrv/v1";
import fc from "fast-check";
import { readEvent, readNews, writeCommand } from "./session-codec.js";
import { WireWriter } from "./wire-writer.js";

const bytes = fc.uint8Array({ maxLength: 300 });
const text = fc.string({ unit: "binary", maxLength: 200 });
const number = fc.integer({ min: 1, max: 2 ** 32 - 1 });
const milliseconds = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }).map(BigInt);

const lock = fc.record(
  {
    lock: fc.oneof(
      fc.record({ case: fc.constant("name" as const), value: text }),
      fc.record({ case: fc.constant("nameBytes" as const), value: bytes }),
    ),
    ticketId: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    mode: fc.constantFrom(0, 1),
    ttlMs: milliseconds,
    waitMs: milliseconds,
    owner: text,
  },
  { requiredKeys: ["lock", "ticketId", "mode", "ttlMs", "owner"] },
);
const subject = fc.oneof(
  fc.record({ lock: number, key: fc.constant(new Uint8Array()) }),
  fc.record({ lock: fc.constant(0), key: fc.uint8Array({ minLength: 1, maxLength: 300 }) }),
);
const command = fc.oneof(
  fc.record({ case: fc.constant("lock" as const), value: lock }),
  fc.record({ case: fc.constant("unlock" as const), value: subject }),
  fc.record({
    case: fc.constant("renew" as const),
    value: fc.tuple(subject, milliseconds).map(([named, ttlMs]) => ({ ...named, ttlMs })),
  }),
  fc.record({ case: fc.constant("cancel" as const), value: number }),
);
const commands = fc.array(
  fc.record({ number, command }).map((init): SessionCommand => create(SessionCommandSchema, init)),
  { maxLength: 20 },
);

const grant = fc.record({
  key: bytes,
  token: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  ttlMs: milliseconds,
  waitedMs: fc.double({ noNaN: true }),
});
const state = fc.record({ holderOwner: text, waiters: fc.nat() });
const event = fc.oneof(
  fc.record({ case: fc.constant("granted" as const), value: grant }),
  fc.record({ case: fc.constant("refused" as const), value: fc.record({ state }) }),
  fc.record({ case: fc.constant("unlocked" as const), value: fc.constant({}) }),
  fc.record({ case: fc.constant("renewed" as const), value: fc.record({ ttlMs: milliseconds }) }),
  fc.record({ case: fc.constant("failed" as const), value: fc.record({ code: fc.nat(16), message: text }) }),
  fc.record({
    case: fc.constant("lost" as const),
    value: fc.constantFrom(LossReason.UNSPECIFIED, LossReason.EXPIRED, LossReason.RELEASED, LossReason.MOVED),
  }),
);

describe("the session codec", () => {
  test("writes what protobuf-es reads, message after message", () => {
    const writer = new WireWriter();
    fc.assert(
      fc.property(commands, (written) => {
        for (const each of written) writeCommand(writer, each);
        const length = writer.length;
        const message = writer.take();
        expect(message).toHaveLength(length);
        expect(fromBinary(SessionRequestSchema, message)).toEqual(create(SessionRequestSchema, { commands: written }));
      }),
    );
  });

  test("writes names and owners as long as a request may be", () => {
    const writer = new WireWriter();
    const value = { lock: { case: "name" as const, value: "ö".repeat(16_000) }, ticketId: new Uint8Array(16) };
    const long = create(SessionCommandSchema, { number: 1, command: { case: "lock", value } });
    writeCommand(writer, long);
    expect(fromBinary(SessionRequestSchema, writer.take()).commands).toEqual([long]);
  });

  test("reads what protobuf-es writes", () => {
    fc.assert(
      fc.property(number, event, (of, about) => {
        const message = create(SessionEventSchema, { number: of, event: about });
        expect(readEvent(toBinary(SessionEventSchema, message))).toEqual(message);
      }),
    );
  });

  test("passes over what a newer server adds", () => {
    const unknown = { no: 15, wireType: 2, data: Uint8Array.of(1, 7) };
    const value = { $typeName: "metasrv.v1.Grant" as const, key: Uint8Array.of(1), token: 2n, ttlMs: 3n, waitedMs: 4 };
    const event = { case: "granted" as const, value: { ...value, $unknown: [unknown] } };
    const message = { ...create(SessionEventSchema, { number: 1, event }), $unknown: [unknown] };
    const read = readEvent(toBinary(SessionEventSchema, message));
    expect(read).toMatchObject({ number: 1, event: { case: "granted", value } });
  });

  test("copies the key out of the message", () => {
    const event = { case: "granted" as const, value: { key: Uint8Array.of(1, 2) } };
    const read = readEvent(toBinary(SessionEventSchema, create(SessionEventSchema, { number: 1, event })));
    expect(read.event.case === "granted" && read.event.value.key.buffer.byteLength).toBe(2);
  });
});

describe("readNews", () => {
  const terms = { heartbeatMs: 2_000n, timeoutMs: 6_000n, maxCommands: 7 };
  const response = create(SessionResponseSchema, {
    events: [1, 2].map((number) => ({ number, event: { case: "lost" as const, value: LossReason.MOVED } })),
    terms,
    draining: true,
  });

  test("reads what protobuf-es has written, and passes over what it does not know", () => {
    // Field 15, a varint.
    const newer = Buffer.concat([Buffer.of(0x78, 0x01), toBinary(SessionResponseSchema, response)]);
    const { events, ...rest } = readNews(newer);
    expect(events).toEqual(response.events);
    expect(rest).toEqual({ terms: response.terms, draining: true });
  });

  test("reads an empty message, which is a sign of life", () => {
    expect(readNews(new Uint8Array())).toEqual({ events: [], terms: undefined, draining: false });
  });
});
