import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { EnvelopeReader } from "./envelope.js";
import { FieldReader, MalformedMessageError } from "./field-reader.js";
import { FieldWriter } from "./field-writer.js";

const uint64 = fc.bigInt(0n, (1n << 64n) - 1n);
const int64 = fc.bigInt(-(1n << 63n), (1n << 63n) - 1n);
const fields = fc.record({
  uint: fc.oneof(fc.nat(), fc.maxSafeNat()),
  uint64,
  int64,
  bool: fc.boolean(),
  double: fc.double({ noNaN: true }),
  fixed32: fc.nat(0xffff_ffff),
  text: fc.oneof(fc.string(), fc.string({ unit: "binary", minLength: 20, maxLength: 200 })),
  latin1: fc.uint8Array({ maxLength: 100 }),
  bytes: fc.uint8Array({ maxLength: 300 }),
  nested: fc.uint8Array({ maxLength: 300 }),
});
type Fields = typeof fields extends fc.Arbitrary<infer T> ? T : never;

const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");

function write(value: Fields): Buffer {
  const writer = new FieldWriter();
  writer.uint(1, value.uint);
  writer.bigint(2, value.uint64);
  writer.bigint(3, value.int64);
  writer.bool(4, value.bool);
  writer.double(5, value.double);
  writer.fixed32(15, value.fixed32);
  writer.text(16, value.text);
  writer.latin1(17, latin1(value.latin1));
  writer.bytes(18, value.bytes);
  const nested = writer.open(2047);
  writer.bytes(1, value.nested);
  writer.close(nested);
  return writer.take();
}

function writeByLibrary(value: Fields): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.Varint).uint64(value.uint);
  writer.tag(2, WireType.Varint).uint64(value.uint64);
  writer.tag(3, WireType.Varint).int64(value.int64);
  writer.tag(4, WireType.Varint).bool(value.bool);
  writer.tag(5, WireType.Bit64).double(value.double);
  writer.tag(15, WireType.Bit32).fixed32(value.fixed32);
  writer.tag(16, WireType.LengthDelimited).string(value.text);
  writer.tag(17, WireType.LengthDelimited).bytes(value.latin1);
  writer.tag(18, WireType.LengthDelimited).bytes(value.bytes);
  writer.tag(2047, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.LengthDelimited).bytes(value.nested);
  return writer.join().finish();
}

function read(message: Uint8Array): Fields {
  const reader = new FieldReader(message);
  const value = { uint: 0, uint64: 0n, int64: 0n, bool: false, double: 0, fixed32: 0, text: "" };
  const bytes = { latin1: new Uint8Array(), bytes: new Uint8Array(), nested: new Uint8Array() };
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    switch (tag >>> 3) {
      case 1:
        value.uint = reader.uint();
        break;
      case 2:
        value.uint64 = reader.bigint();
        break;
      case 3:
        value.int64 = reader.int64();
        break;
      case 4:
        value.bool = reader.bool();
        break;
      case 5:
        value.double = reader.double();
        break;
      case 15:
        value.fixed32 = reader.fixed32();
        break;
      case 16:
        value.text = reader.text();
        break;
      case 17:
        bytes.latin1 = Uint8Array.from(Buffer.from(reader.latin1(), "latin1"));
        break;
      case 18:
        bytes.bytes = Uint8Array.from(reader.bytes());
        break;
      case 2047: {
        const end = reader.enter();
        reader.next();
        bytes.nested = Uint8Array.from(reader.bytes());
        expect(reader.next()).toBe(0);
        reader.leave(end);
        break;
      }
      default:
        reader.skip(tag);
    }
  }
  return { ...value, ...bytes };
}

test("writes every kind of field as protobuf-es does", () => {
  fc.assert(
    fc.property(fields, (value) => {
      expect(write(value)).toEqual(Buffer.from(writeByLibrary(value)));
    }),
  );
});

test("reads every kind of field as it was written", () => {
  fc.assert(
    fc.property(fields, (value) => {
      expect(read(writeByLibrary(value))).toEqual(value);
    }),
  );
});

test("reads the low bits of a number, as protobuf-es does", () => {
  fc.assert(
    fc.property(uint64, (value) => {
      const bytes = new BinaryWriter().uint64(value).finish();
      expect(new FieldReader(bytes).uint32()).toBe(new BinaryReader(bytes).uint32());
    }),
  );
});

test("passes over what it does not know", () => {
  fc.assert(
    fc.property(fields, (value) => {
      const reader = new FieldReader(writeByLibrary(value));
      let skipped = 0;
      for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
        reader.skip(tag);
        skipped++;
      }
      expect(skipped).toBe(10);
    }),
  );
});

test("refuses a message that is cut off, and never reads beyond its end", () => {
  fc.assert(
    fc.property(fields, fc.nat(), (value, cut) => {
      const message = writeByLibrary(value);
      // If the message is cut between two fields, what is left is a whole message.
      const boundaries = boundariesOf(message);
      const length = cut % message.length;
      const reading = () => read(message.subarray(0, length));
      if (boundaries.has(length)) {
        expect(reading).not.toThrow();
      } else {
        expect(reading).toThrow(MalformedMessageError);
      }
    }),
  );
});

function boundariesOf(message: Uint8Array): Set<number> {
  const reader = new BinaryReader(message);
  const boundaries = new Set([0]);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    reader.skip(type, field);
    boundaries.add(reader.pos);
  }
  return boundaries;
}

test.each([
  ["a varint of eleven bytes", Buffer.from([8, ...Array<number>(10).fill(0x80), 1])],
  ["field number 0", Buffer.from([0x02, 0x00])],
  ["a group, which nobody writes any more", Buffer.from([0x0b])],
  ["a length beyond the end", Buffer.from([0x12, 0x05, 0x01])],
])("refuses %s", (_, message) => {
  const reader = new FieldReader(message);
  expect(() => {
    reader.skip(reader.next());
  }).toThrow(MalformedMessageError);
});

test("refuses a text that is no UTF-8, short or long", () => {
  for (const length of [1, 10, 100]) {
    const writer = new FieldWriter();
    writer.bytes(1, Buffer.alloc(length, 0xff));
    const reader = new FieldReader(writer.take());
    reader.next();
    expect(() => reader.text()).toThrow(MalformedMessageError);
  }
});

test("refuses a number that a number cannot hold", () => {
  const writer = new FieldWriter();
  writer.bigint(1, 1n << 53n);
  const reader = new FieldReader(writer.take());
  reader.next();
  expect(() => reader.uint()).toThrow(MalformedMessageError);
});

test("takes messages out of a stream, however it is cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 })),
      fc.array(fc.integer({ min: 1, max: 50 })),
      (messages, cuts) => {
        const writer = new FieldWriter();
        const stream = Buffer.concat(
          messages.map((message) => {
            writer.openEnvelope();
            writer.bytes(1, message);
            return writer.takeEnvelope();
          }),
        );
        const reader = new EnvelopeReader();
        const taken: Buffer[] = [];
        let at = 0;
        for (let index = 0; at < stream.length; index++) {
          const end = at + (cuts[index % cuts.length] ?? stream.length);
          reader.push(stream.subarray(at, end), (message) => {
            const fieldReader = new FieldReader(message);
            fieldReader.next();
            taken.push(Buffer.from(fieldReader.bytes()));
          });
          at = end;
        }
        expect(taken).toEqual(messages.map((message) => Buffer.from(message)));
        expect(reader.incomplete).toBe(false);
      },
    ),
  );
});
