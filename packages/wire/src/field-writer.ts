import { envelopePrefixBytes } from "./envelope.js";
import { wireType } from "./field-reader.js";
import { Buffer } from "./platform.js";

const firstCapacity = 4_096;
// Texts up to this length are copied without a call into Node's C++, which would take longer.
const shortText = 64;

const maxUint64 = (1n << 64n) - 1n;
const minInt64 = -(1n << 63n);
const halves = new DataView(new ArrayBuffer(8));

/**
 * Writes protobuf fields into one buffer that is used again for each message. For small messages, @bufbuild/protobuf's
 * `BinaryWriter` takes some fifteen times as long. Field numbers are 2047 at most. A value of 0 and an empty text are
 * written like any other value; callers leave them out where they mean nothing.
 */
export class FieldWriter {
  #buffer = Buffer.allocUnsafe(firstCapacity);
  #length = 0;

  /** Bytes written since the last {@link take}. */
  get length(): number {
    return this.#length;
  }

  /** An integer of any protobuf type but sint and fixed, from 0 to 2^53 - 1. @throws RangeError for any other number */
  uint(field: number, value: number): void {
    this.#tag(field, wireType.varint, 10);
    this.#varint(value);
  }

  /** A `uint64`, or an `int64`, which may be negative. @throws RangeError for more than 64 bits */
  bigint(field: number, value: bigint): void {
    this.#tag(field, wireType.varint, 10);
    if (value >= 0n && value <= 0x1f_ffff_ffff_ffffn) {
      this.#varint(Number(value));
      return;
    }
    if (value < minInt64 || value > maxUint64) {
      throw new RangeError(`${value} has more than 64 bits`);
    }
    // Negative numbers are written as the 64 bits of their two's complement. Arithmetic on bigints would make a new one a step.
    halves.setBigUint64(0, value);
    let high = halves.getUint32(0);
    let low = halves.getUint32(4);
    for (; high > 0; high >>>= 7) {
      this.#buffer[this.#length++] = (low & 0x7f) | 0x80;
      low = (low >>> 7) | (high << 25);
    }
    this.#varint(low >>> 0);
  }

  bool(field: number, value: boolean): void {
    this.#tag(field, wireType.varint, 1);
    this.#buffer[this.#length++] = value ? 1 : 0;
  }

  double(field: number, value: number): void {
    this.#tag(field, wireType.fixed64, 8);
    this.#length = this.#buffer.writeDoubleLE(value, this.#length);
  }

  /** @param value - from 0 to 2^32 - 1 */
  fixed32(field: number, value: number): void {
    this.#tag(field, wireType.fixed32, 4);
    this.#length = this.#buffer.writeUInt32LE(value, this.#length);
  }

  text(field: number, value: string): void {
    this.#tag(field, wireType.bytes, 5 + 3 * value.length);
    if (value.length < shortText && this.#ascii(value)) {
      return;
    }
    this.#varint(Buffer.byteLength(value));
    this.#length += this.#buffer.write(value, this.#length);
  }

  /** Bytes, given as a string with one character (code 0 to 255) for each byte. */
  latin1(field: number, value: string): void {
    const { length } = value;
    this.#tag(field, wireType.bytes, 5 + length);
    this.#varint(length);
    const start = this.#length;
    if (length < shortText) {
      for (let at = 0; at < length; at++) {
        this.#buffer[start + at] = value.charCodeAt(at);
      }
    } else {
      this.#buffer.write(value, start, "latin1");
    }
    this.#length = start + length;
  }

  bytes(field: number, value: Uint8Array): void {
    this.#tag(field, wireType.bytes, 5 + value.length);
    this.#varint(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  /**
   * Begins a message as a field.
   *
   * @returns a value for {@link close}
   */
  open(field: number): number {
    this.#tag(field, wireType.bytes, 1);
    // Room for a length of one byte, which is enough for most messages.
    return ++this.#length;
  }

  /** Ends the message that {@link open} began. */
  close(start: number): void {
    const length = this.#length - start;
    if (length < 0x80) {
      this.#buffer[start - 1] = length;
      return;
    }
    const more = Math.ceil((32 - Math.clz32(length)) / 7) - 1;
    this.#reserve(more);
    this.#buffer.copyWithin(start + more, start, this.#length);
    this.#length = start - 1;
    this.#varint(length);
    this.#length += length;
  }

  /** Writes a message as a field. @param write - writes its fields */
  nested<T>(field: number, message: T, write: (writer: FieldWriter, message: T) => void): void {
    const start = this.open(field);
    write(this, message);
    this.close(start);
  }

  /** Begins a message with the prefix that it has in a stream. {@link takeEnvelope} ends it. */
  openEnvelope(): void {
    this.#length = 0;
    this.#reserve(envelopePrefixBytes);
    this.#length = envelopePrefixBytes;
  }

  /** The message that {@link openEnvelope} began, with its prefix. Then the next message can begin. */
  takeEnvelope(): Buffer {
    this.#buffer[0] = 0;
    this.#buffer.writeUInt32BE(this.#length - envelopePrefixBytes, 1);
    return this.take();
  }

  /** Drops what was written since the last {@link take}. */
  clear(): void {
    this.#length = 0;
  }

  /** The message that was written. Then the next message can begin. */
  take(): Buffer {
    const message = Buffer.from(this.#buffer.subarray(0, this.#length));
    this.#length = 0;
    return message;
  }

  /** @param bytes - the most bytes that may follow the tag */
  #tag(field: number, type: number, bytes: number): void {
    this.#reserve(2 + bytes);
    const tag = (field << 3) | type;
    if (tag < 0x80) {
      this.#buffer[this.#length++] = tag;
    } else {
      this.#buffer[this.#length++] = (tag & 0x7f) | 0x80;
      this.#buffer[this.#length++] = tag >>> 7;
    }
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) {
      return;
    }
    const buffer = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#length + bytes));
    buffer.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = buffer;
  }

  #varint(value: number): void {
    let rest = value;
    if (rest >>> 0 !== rest && (rest < 0 || !Number.isSafeInteger(rest))) {
      throw new RangeError(`${value} is no integer from 0 to 2^53 - 1`);
    }
    // Bitwise operators work on 32 bits only.
    for (; rest > 0x7f_ff_ff_ff; rest = Math.floor(rest / 0x80)) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80;
    }
    for (; rest > 0x7f; rest >>>= 7) {
      this.#buffer[this.#length++] = (rest & 0x7f) | 0x80;
    }
    this.#buffer[this.#length++] = rest;
  }

  #ascii(value: string): boolean {
    const buffer = this.#buffer;
    const start = this.#length + 1;
    for (let at = 0; at < value.length; at++) {
      const code = value.charCodeAt(at);
      if (code > 0x7f) {
        return false;
      }
      buffer[start + at] = code;
    }
    buffer[this.#length] = value.length;
    this.#length = start + value.length;
    return true;
  }
}

const shared = new FieldWriter();

/**
 * Writes one message.
 *
 * @param write - writes the message's fields; it must call neither this function nor {@link encodeEnvelope}
 */
export function encode<T>(message: T, write: (writer: FieldWriter, message: T) => void): Buffer {
  shared.clear();
  write(shared, message);
  return shared.take();
}

/** As {@link encode}, with the prefix that a message has in a stream of gRPC or Connect. */
export function encodeEnvelope<T>(message: T, write: (writer: FieldWriter, message: T) => void): Buffer {
  shared.openEnvelope();
  write(shared, message);
  return shared.takeEnvelope();
}
