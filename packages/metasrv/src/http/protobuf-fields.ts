import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import protobuf from "protobufjs/minimal.js";

/*
 * The pieces of which the messages on the busiest paths are read and written field by field. protobuf-es, which goes by
 * the descriptor, takes several times as long; it stays the judge of everything unusual.
 */

/** Reads fields one after the other. */
export type Reader = protobuf.Reader;

/** Writes fields one after the other. */
export type Writer = protobuf.Writer;

/** How a field's value is stored. */
export const wireType = { varint: 0, fixed64: 1, bytes: 2 } as const;

/** What precedes a field's value. */
export function tag(field: number, type: number): number {
  return (field << 3) | type;
}

/** The value of a field of bytes that is absent. */
export const noBytes = new Uint8Array();

/** Thrown at what a reader was not written for. */
export const unfamiliar = new Error("not what this reader was written for");

/**
 * Reads a message with `read`. Whatever it throws at, unknown fields and malformed bytes alike, protobuf-es decides on.
 *
 * @throws ConnectError as Connect does for bytes that are no such message
 */
export function decode<Desc extends DescMessage>(
  schema: Desc,
  bytes: Buffer,
  read: (reader: Reader, end: number) => MessageShape<Desc>,
): MessageShape<Desc> {
  try {
    const reader = new protobuf.BufferReader(bytes);
    return readTo(reader, bytes.length, read);
  } catch {
    try {
      return fromBinary(schema, bytes);
    } catch (error) {
      throw new ConnectError(`parse binary: ${error instanceof Error ? error.message : String(error)}`, Code.Internal);
    }
  }
}

/** Reads a message in a message. */
export function readNested<T>(reader: Reader, read: (reader: Reader, end: number) => T): T {
  const length = reader.uint32();
  return readTo(reader, reader.pos + length, read);
}

function readTo<T>(reader: Reader, end: number, read: (reader: Reader, end: number) => T): T {
  const message = read(reader, end);
  if (reader.pos !== end) {
    throw unfamiliar;
  }
  return message;
}

/** Reads a text, which must be UTF-8. */
export function readText(reader: Reader): string {
  const start = reader.pos;
  if (reader.uint32() > reader.len - reader.pos) {
    // The reader would cut the text off.
    throw unfamiliar;
  }
  reader.pos = start;
  const text = reader.string();
  if (text.includes("\ufffd")) {
    // It stands for what is no UTF-8, unless somebody wrote it.
    throw unfamiliar;
  }
  return text;
}

/** Reads an `int64`. */
export function readInt64(reader: Reader): bigint {
  const value = reader.int64();
  return typeof value === "number" ? BigInt(value) : (BigInt(value.high) << 32n) | BigInt(value.low >>> 0);
}

const safe = BigInt(Number.MAX_SAFE_INTEGER);

/** Writes an `int64` or `uint64`, if it is not 0. */
export function writeInt64(writer: Writer, field: number, value: bigint): void {
  if (value !== 0n) {
    const small = value <= safe && value >= -safe;
    writer.uint32(tag(field, wireType.varint)).int64(small ? Number(value) : value.toString());
  }
}

/** Writes a `uint32` or an enum, if it is not 0. */
export function writeUint32(writer: Writer, field: number, value: number): void {
  if (value !== 0) {
    writer.uint32(tag(field, wireType.varint)).uint32(value);
  }
}

/** Writes bytes, if there are any. */
export function writeBytes(writer: Writer, field: number, value: Uint8Array): void {
  if (value.byteLength > 0) {
    writer.uint32(tag(field, wireType.bytes)).bytes(value);
  }
}

/** Writes a text, if it is not empty. */
export function writeText(writer: Writer, field: number, value: string): void {
  if (value !== "") {
    writer.uint32(tag(field, wireType.bytes)).string(value);
  }
}

/** Bytes before each message in a stream of messages: flags and the message's length. */
export const envelopePrefixBytes = 5;

/** Writes a message, with the prefix that it has in a gRPC call and in a stream of Connect. */
export function encodeEnvelope<T>(message: T, write: (writer: Writer, message: T) => void): Buffer {
  const writer = protobuf.Writer.create();
  // Room for the prefix, whose length is known only in the end.
  writer.uint32(0).fixed32(0);
  write(writer, message);
  const { buffer, byteOffset, byteLength } = writer.finish();
  const envelope = Buffer.from(buffer, byteOffset, byteLength);
  envelope.writeUInt32BE(byteLength - envelopePrefixBytes, 1);
  return envelope;
}
