const firstCapacity = 4_096;
const varint = 0;
const lengthDelimited = 2;
// Short texts are copied by hand: a call into Node's C++ takes longer.
const shortText = 64;

/**
 * Writes protobuf fields into one buffer that is used again for each message; @bufbuild/protobuf's `BinaryWriter` takes
 * some fifteen times as long for small messages. Field numbers are 15 at most. A value of 0 and an empty text are written
 * like any other: whoever calls leaves them out where they mean nothing.
 */
export class WireWriter {
  #buffer = Buffer.allocUnsafe(firstCapacity);
  #length = 0;

  /** Bytes written since the last {@link take}. */
  get length(): number {
    return this.#length;
  }

  /** An integer of any protobuf type but sint and fixed, from 0 to 2^53 - 1. */
  integer(field: number, value: number): void {
    this.#reserve(9);
    this.#buffer[this.#length++] = (field << 3) | varint;
    this.#varint(value);
  }

  text(field: number, value: string): void {
    this.#reserve(6 + 3 * value.length);
    this.#buffer[this.#length++] = (field << 3) | lengthDelimited;
    if (value.length < shortText && this.#ascii(value)) return;
    this.#varint(Buffer.byteLength(value));
    this.#length += this.#buffer.write(value, this.#length);
  }

  bytes(field: number, value: Uint8Array): void {
    this.#reserve(6 + value.length);
    this.#buffer[this.#length++] = (field << 3) | lengthDelimited;
    this.#varint(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  /**
   * Begins a message as a field.
   *
   * @returns what {@link close} needs to know of it
   */
  open(field: number): number {
    this.#reserve(6);
    this.#buffer[this.#length++] = (field << 3) | lengthDelimited;
    // One byte for the length, which is enough for most.
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

  /** What was written; the next message begins. */
  take(): Uint8Array {
    const message = Uint8Array.prototype.slice.call(this.#buffer, 0, this.#length);
    this.#length = 0;
    return message;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const buffer = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#length + bytes));
    buffer.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = buffer;
  }

  #varint(value: number): void {
    let rest = value;
    // Bitwise operators see 32 bits only.
    for (; rest > 0x7f_ff_ff_ff; rest = Math.floor(rest / 0x80)) this.#buffer[this.#length++] = (rest % 0x80) | 0x80;
    for (; rest > 0x7f; rest >>>= 7) this.#buffer[this.#length++] = (rest & 0x7f) | 0x80;
    this.#buffer[this.#length++] = rest;
  }

  #ascii(value: string): boolean {
    const buffer = this.#buffer;
    const start = this.#length + 1;
    for (let at = 0; at < value.length; at++) {
      const code = value.charCodeAt(at);
      if (code > 0x7f) return false;
      buffer[start + at] = code;
    }
    buffer[this.#length] = value.length;
    this.#length = start + value.length;
    return true;
  }
}
