import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { Buffer, isUtf8 } from "./platform.js";

/** How the value of a protobuf field is stored: the low three bits of its tag. */
export const wireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** What comes before the value of a field: its number and its wire type. */
export function tagOf(field: number, type: number): number {
  return (field << 3) | type;
}

/** The value of a bytes field that is absent. */
export const noBytes = new Uint8Array();

/** Bytes that are no message. The message says where and why. */
export class MalformedMessageError extends Error {
  override readonly name = "MalformedMessageError";
}

// Texts up to this length are made without a call into Node's C++, which would take longer.
const shortText = 24;

const halves = new DataView(new ArrayBuffer(8));

/**
 * Reads protobuf fields one after the other. {@link next} gives a field's tag. Then the value must be read by the
 * method that fits the tag, or skipped.
 *
 * Every method throws {@link MalformedMessageError} rather than read beyond the end.
 */
export class FieldReader {
  readonly #buffer: Buffer;
  #at: number;
  #end: number;
  /** Whether the group of bytes that was read last ended its varint. */
  #closed = true;

  constructor(message: Uint8Array) {
    this.#buffer = Buffer.isBuffer(message)
      ? message
      : Buffer.from(message.buffer, message.byteOffset, message.byteLength);
    this.#at = 0;
    this.#end = message.length;
  }

  /** The tag of the next field, see {@link tagOf}; 0 at the end of the message. */
  next(): number {
    const start = this.#at;
    if (start === this.#end) {
      return 0;
    }
    const tag = this.uint32();
    if (tag >>> 3 === 0) {
      throw new MalformedMessageError(`field number 0 before byte ${this.#at}`);
    }
    const bytes = this.#at - start;
    if (bytes > 4 && (bytes > 5 || (this.#buffer[this.#at - 1] ?? 0) > 0xf)) {
      throw new MalformedMessageError(`a tag of more than 32 bits before byte ${this.#at}`);
    }
    return tag;
  }

  /** The low 32 bits of a varint, as protobuf reads a `uint32`, an enum or a tag. */
  uint32(): number {
    const buffer = this.#buffer;
    let at = this.#at;
    let byte = this.#byte(at++);
    let value = byte & 0x7f;
    if (byte > 0x7f) {
      let shift = 7;
      do {
        if (shift > 63) {
          throw new MalformedMessageError(`a varint of more than 10 bytes at byte ${this.#at}`);
        }
        byte = at < this.#end ? (buffer[at] ?? 0) : this.#byte(at);
        at++;
        if (shift < 32) {
          value |= (byte & 0x7f) << shift;
        }
        shift += 7;
      } while (byte > 0x7f);
    }
    this.#at = at;
    return value >>> 0;
  }

  /** An `int32`, or an enum. */
  int32(): number {
    return this.uint32() | 0;
  }

  /** A varint that fits into a number. @throws MalformedMessageError above 2^53 - 1 */
  uint(): number {
    const start = this.#at;
    const low = this.#group();
    if (this.#isClosed()) {
      return low;
    }
    const high = this.#group();
    const value = low + high * 0x1000_0000;
    if (!this.#isClosed() || value > Number.MAX_SAFE_INTEGER) {
      throw new MalformedMessageError(`a number above 2^53 - 1 at byte ${start}`);
    }
    return value;
  }

  /** A `uint64`. */
  bigint(): bigint {
    const low = this.#group();
    if (this.#isClosed()) {
      return BigInt(low);
    }
    const middle = this.#group();
    const lower = low + middle * 0x1000_0000;
    if (this.#isClosed() && lower <= Number.MAX_SAFE_INTEGER) {
      return BigInt(lower);
    }
    const last = this.#isClosed() ? 0 : this.#lastGroup();
    halves.setUint32(0, (middle >>> 4) | (last << 24));
    halves.setUint32(4, low | (middle << 28));
    return halves.getBigUint64(0);
  }

  /** An `int64`. */
  int64(): bigint {
    return BigInt.asIntN(64, this.bigint());
  }

  bool(): boolean {
    // A varint is true if any of its bits is set, also beyond the 32nd.
    const low = this.#group();
    const middle = this.#isClosed() ? 0 : this.#group();
    const high = this.#isClosed() ? 0 : this.#lastGroup();
    return low !== 0 || middle !== 0 || high !== 0;
  }

  double(): number {
    return this.#buffer.readDoubleLE(this.#take(8));
  }

  fixed32(): number {
    return this.#buffer.readUInt32LE(this.#take(4));
  }

  /** A text. @throws MalformedMessageError for bytes that are not UTF-8 */
  text(): string {
    const length = this.uint32();
    const start = this.#take(length);
    const short = length <= shortText ? this.#ascii(start) : undefined;
    if (short !== undefined) {
      return short;
    }
    if (!isUtf8(this.#buffer.subarray(start, this.#at))) {
      throw new MalformedMessageError(`a text that is no UTF-8 at byte ${start}`);
    }
    return this.#buffer.toString("utf8", start, this.#at);
  }

  /** Bytes, as a string with one character (code 0 to 255) for each byte. */
  latin1(): string {
    const length = this.uint32();
    const start = this.#take(length);
    return this.#buffer.toString("latin1", start, this.#at);
  }

  /** Bytes: a view of the message. */
  bytes(): Buffer {
    const length = this.uint32();
    const start = this.#take(length);
    return this.#buffer.subarray(start, this.#at);
  }

  /**
   * Begins to read a message inside the message. {@link next} returns 0 at its end.
   *
   * @returns a value for {@link leave}
   */
  enter(): number {
    const length = this.uint32();
    const start = this.#take(length);
    const end = this.#end;
    this.#end = this.#at;
    this.#at = start;
    return end;
  }

  /** Ends the message that {@link enter} began; it must have been read to its end. */
  leave(end: number): void {
    if (this.#at !== this.#end) {
      throw new MalformedMessageError(`bytes are left of a message at byte ${this.#at}`);
    }
    this.#end = end;
  }

  /**
   * Reads a message inside the message.
   *
   * @param read - reads it to its end
   * @param present - what the field has so far, undefined for nothing. Protobuf would merge a second message into the
   *   first. Nobody writes two, so they are refused here.
   */
  nested<T>(read: (reader: FieldReader) => T, present?: unknown): T {
    if (present !== undefined) {
      throw new MalformedMessageError(`a second message for the same field at byte ${this.#at}`);
    }
    const end = this.enter();
    const message = read(this);
    this.leave(end);
    return message;
  }

  /**
   * Skips the value of an unknown field.
   *
   * @param known - fields with numbers up to this one are known. If such a field is to be skipped, its wire type is
   *   wrong, and the message is refused.
   */
  skip(tag: number, known = 0): void {
    if (tag >>> 3 <= known) {
      throw new MalformedMessageError(`wire type ${tag & 7} of field ${tag >>> 3} before byte ${this.#at}`);
    }
    switch (tag & 7) {
      case wireType.varint:
        this.bool();
        break;
      case wireType.fixed64:
        this.#take(8);
        break;
      case wireType.bytes:
        this.#take(this.uint32());
        break;
      case wireType.fixed32:
        this.#take(4);
        break;
      default:
        throw new MalformedMessageError(`wire type ${tag & 7} before byte ${this.#at}`);
    }
  }

  #isClosed(): boolean {
    return this.#closed;
  }

  /** Up to four bytes of a varint. */
  #group(): number {
    const buffer = this.#buffer;
    let at = this.#at;
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      if (at >= this.#end) {
        throw this.#truncated();
      }
      const byte = buffer[at++] ?? 0;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.#at = at;
        this.#closed = true;
        return value;
      }
    }
    this.#at = at;
    this.#closed = false;
    return value;
  }

  /** The ninth and tenth byte of a varint. */
  #lastGroup(): number {
    const ninth = this.#byte(this.#at++);
    if (ninth < 0x80) {
      return ninth;
    }
    const tenth = this.#byte(this.#at++);
    if (tenth > 0x7f) {
      throw new MalformedMessageError(`a varint of more than 10 bytes before byte ${this.#at}`);
    }
    return (ninth & 0x7f) | (tenth << 7);
  }

  #byte(at: number): number {
    if (at >= this.#end) {
      throw this.#truncated();
    }
    return this.#buffer[at] ?? 0;
  }

  /** Skips this many bytes. @returns where they begin */
  #take(length: number): number {
    const start = this.#at;
    if (length > this.#end - start) {
      throw this.#truncated();
    }
    this.#at = start + length;
    return start;
  }

  #ascii(start: number): string | undefined {
    const buffer = this.#buffer;
    let text = "";
    for (let at = start; at < this.#at; at++) {
      const byte = buffer[at] ?? 0;
      if (byte > 0x7f) {
        return undefined;
      }
      text += String.fromCharCode(byte);
    }
    return text;
  }

  #truncated(): MalformedMessageError {
    return new MalformedMessageError(`the message ends within a field, at byte ${this.#end}`);
  }
}

let fallBackCount = 0;

/**
 * How often protobuf-es had to read a message since the process began. Tests use it to see that the readers are
 * complete.
 */
export function fallBacks(): number {
  return fallBackCount;
}

/**
 * Reads a message with `read`. If `read` takes the bytes for malformed, protobuf-es decides, because it accepts more:
 * fields that come twice, or in another wire type.
 *
 * @throws MalformedMessageError for bytes that are no such message
 */
export function decode<Desc extends DescMessage>(
  schema: Desc,
  bytes: Buffer,
  read: (reader: FieldReader) => MessageShape<Desc>,
): MessageShape<Desc> {
  try {
    return read(new FieldReader(bytes));
  } catch (error) {
    if (error instanceof MalformedMessageError) {
      return fallBack(schema, bytes);
    }
    throw error;
  }
}

function fallBack<Desc extends DescMessage>(schema: Desc, bytes: Buffer): MessageShape<Desc> {
  fallBackCount++;
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw new MalformedMessageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}
