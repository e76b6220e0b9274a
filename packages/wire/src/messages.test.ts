import { create, type DescMessage, equals, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { describe, expect, test } from "@jest/globals";
import {
  GrantSchema,
  LockRequestSchema,
  LockResponseSchema,
  LockStateSchema,
  LockSummarySchema,
  RefusalSchema,
  RenewRequestSchema,
  RenewResponseSchema,
  type SessionRequest,
  SessionRequestSchema,
  SessionResponseSchema,
  UnlockRequestSchema,
  UnlockResponseSchema,
} from "@metasrv/proto/metasrv/v1";
import fc from "fast-check";
import { decode, type FieldReader, MalformedMessageError } from "./field-reader.js";
import { encode, type FieldWriter } from "./field-writer.js";
import * as locks from "./lock-messages.js";
import * as sessions from "./session-messages.js";
import { fallBacks } from "./testing/index.js";

type Write = (writer: FieldWriter, message: never) => void;
type Read = (reader: FieldReader) => MessageShape<DescMessage>;

const written: readonly (readonly [string, DescMessage, Write])[] = [
  ["LockRequest", LockRequestSchema, locks.writeLockRequest],
  ["LockResponse", LockResponseSchema, locks.writeLockResponse],
  ["Grant", GrantSchema, locks.writeGrant],
  ["Refusal", RefusalSchema, locks.writeRefusal],
  ["LockState", LockStateSchema, locks.writeLockState],
  ["LockSummary", LockSummarySchema, locks.writeLockSummary],
  ["UnlockResponse", UnlockResponseSchema, locks.writeUnlockResponse],
  ["RenewResponse", RenewResponseSchema, locks.writeRenewResponse],
  ["SessionRequest", SessionRequestSchema, writeSessionRequest],
  ["SessionResponse", SessionResponseSchema, sessions.writeSessionResponse],
];

const readable: readonly (readonly [string, DescMessage, Read])[] = [
  ["LockRequest", LockRequestSchema, locks.readLockRequest],
  ["Grant", GrantSchema, locks.readGrant],
  ["Refusal", RefusalSchema, locks.readRefusal],
  ["LockState", LockStateSchema, locks.readLockState],
  ["UnlockRequest", UnlockRequestSchema, locks.readUnlockRequest],
  ["UnlockResponse", UnlockResponseSchema, locks.readUnlockResponse],
  ["RenewRequest", RenewRequestSchema, locks.readRenewRequest],
  ["RenewResponse", RenewResponseSchema, locks.readRenewResponse],
  ["SessionRequest", SessionRequestSchema, sessions.readSessionRequest],
  ["SessionResponse", SessionResponseSchema, sessions.readSessionResponse],
];

/** Commands are written one by one, as many as fit into a message. */
function writeSessionRequest(writer: FieldWriter, { commands }: SessionRequest): void {
  for (const command of commands) {
    sessions.writeSessionCommand(writer, command);
  }
}

// Messages are generated from their descriptors, so that a new field is tested from the first day.

const scalars: Partial<Record<number, fc.Arbitrary<unknown>>> = {
  1: fc.double({ noNaN: true }),
  3: fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt({ min: 0n, max: 100_000n })),
  4: fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.bigInt({ min: 0n, max: 100_000n })),
  8: fc.boolean(),
  9: fc.oneof(fc.string({ unit: "grapheme", maxLength: 100 }), fc.string({ maxLength: 20 })),
  12: fc.uint8Array({ maxLength: 200 }),
  13: fc.oneof(fc.nat(0xffff_ffff), fc.nat(10)),
};

// Enums are open: newer programs have more values.
const enumValue = fc.oneof(fc.nat(12), fc.integer());

type Field = DescMessage["fields"][number];

function single(field: Field): fc.Arbitrary<unknown> {
  if (field.fieldKind === "message" || (field.fieldKind === "list" && field.listKind === "message")) {
    return messageOf(field.message);
  }
  const scalar = field.fieldKind === "scalar" ? scalars[field.scalar] : undefined;
  if (scalar === undefined && field.fieldKind !== "enum") {
    throw new Error(`no values for ${field.toString()}`);
  }
  return scalar ?? enumValue;
}

function several(field: Field): fc.Arbitrary<unknown> {
  if (field.fieldKind === "list") {
    return fc.array(single(field), { maxLength: 4 });
  }
  if (field.fieldKind === "map") {
    // A plain object has no property of its own by that name.
    return fc.dictionary(
      fc.string({ maxLength: 8 }).filter((key) => key !== "__proto__"),
      fc.string({ maxLength: 8 }),
      {
        maxKeys: 4,
        noNullPrototype: true,
      },
    );
  }
  return single(field);
}

/** Messages with any of their fields. */
function messageOf(schema: DescMessage): fc.Arbitrary<Record<string, unknown>> {
  const members: Record<string, fc.Arbitrary<unknown>> = {};
  for (const member of schema.members) {
    if (member.kind === "oneof") {
      const cases = member.fields.map((field) =>
        fc.record({ case: fc.constant(field.localName), value: single(field) }),
      );
      members[member.localName] = fc.oneof(...cases, fc.constant({ case: undefined }));
    } else {
      members[member.localName] = several(member);
    }
  }
  return fc.record(members, { requiredKeys: [] });
}

function generated(schema: DescMessage): fc.Arbitrary<MessageShape<DescMessage>> {
  return messageOf(schema).map((init) => create(schema, init));
}

/** The result of an attempt to read, as a text to compare. */
function attempt(schema: DescMessage, read: () => MessageShape<DescMessage>): string {
  try {
    return Buffer.from(toBinary(schema, read(), { writeUnknownFields: false })).toString("hex");
  } catch {
    return "refused";
  }
}

test.each(written)("%s is written as protobuf-es reads it", (_name, schema, write) => {
  fc.assert(
    fc.property(generated(schema), (message) => {
      const bytes = encode(message as never, write);
      expect(equals(schema, fromBinary(schema, bytes), message)).toBe(true);
      expect(bytes.length).toBe(toBinary(schema, message).length);
    }),
  );
});

describe.each(readable)("%s", (_name, schema, read) => {
  test("is read as protobuf-es writes it, without its help", () => {
    const before = fallBacks();
    fc.assert(
      fc.property(generated(schema), (message) => {
        const back = decode(schema, Buffer.from(toBinary(schema, message)), read);
        expect(equals(schema, back, message)).toBe(true);
        // A message made by hand lacks nothing that protobuf-es would need to write it.
        expect(toBinary(schema, back)).toEqual(toBinary(schema, message));
      }),
    );
    expect(fallBacks()).toBe(before);
  });

  test("is read without what only newer programs know, and without help", () => {
    const before = fallBacks();
    const unknown = fc.record({ field: fc.integer({ min: 100, max: 2_000 }), value: fc.nat(), text: fc.string() });
    fc.assert(
      fc.property(generated(schema), unknown, (message, { field, value, text }) => {
        const more = new BinaryWriter();
        more.tag(field, WireType.Varint).uint32(value);
        more.tag(field + 1, WireType.LengthDelimited).string(text);
        more.tag(field + 2, WireType.Bit32).fixed32(value);
        more.tag(field + 3, WireType.Bit64).double(value);
        const bytes = Buffer.concat([more.finish(), toBinary(schema, message), more.finish()]);
        expect(equals(schema, decode(schema, bytes, read), message)).toBe(true);
      }),
    );
    expect(fallBacks()).toBe(before);
  });

  test("is read from damaged bytes as protobuf-es reads them, or refused as it refuses them", () => {
    const damage = fc.record({ at: fc.nat(300), byte: fc.nat(255), cut: fc.nat(300), whole: fc.boolean() });
    fc.assert(
      fc.property(generated(schema), damage, (message, { at, byte, cut, whole }) => {
        const bytes = Buffer.from(toBinary(schema, message));
        if (at < bytes.length) {
          bytes[at] = byte;
        }
        const bad = whole ? bytes : bytes.subarray(0, cut);
        expect(attempt(schema, () => decode(schema, bad, read))).toBe(attempt(schema, () => fromBinary(schema, bad)));
      }),
      { numRuns: 500 },
    );
  });

  test("that comes in two parts is read as protobuf-es merges them", () => {
    fc.assert(
      fc.property(generated(schema), generated(schema), (one, other) => {
        const bytes = Buffer.concat([toBinary(schema, one), toBinary(schema, other)]);
        expect(attempt(schema, () => decode(schema, bytes, read))).toBe(
          attempt(schema, () => fromBinary(schema, bytes)),
        );
      }),
    );
  });
});

test("an entry of a map that has an unknown field is refused as protobuf-es refuses it", () => {
  // A label "k", whose entry goes on with a field 13. protobuf-es takes the bytes of that for further fields.
  const bytes = Buffer.from("62070a016b6a0201ff", "hex");
  expect(() => fromBinary(LockRequestSchema, bytes)).toThrow("illegal tag");
  expect(() => decode(LockRequestSchema, bytes, locks.readLockRequest)).toThrow(MalformedMessageError);
});

test("a fault in a reader is thrown, and does not look like a malformed message", () => {
  const faulty = () => {
    throw new TypeError("a fault of ours");
  };
  expect(() => decode(GrantSchema, Buffer.of(), faulty)).toThrow(TypeError);
});

test("what only protobuf-es can read is counted", () => {
  const before = fallBacks();
  const refusal = toBinary(RefusalSchema, create(RefusalSchema, { state: {} }));
  decode(RefusalSchema, Buffer.concat([refusal, refusal]), locks.readRefusal);
  expect(fallBacks()).toBe(before + 1);
});
