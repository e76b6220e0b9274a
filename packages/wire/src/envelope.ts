import { Buffer } from "./platform.js";

/**
 * Number of bytes before each message in a stream of gRPC or Connect: one byte of flags, four of the message's length.
 */
export const envelopePrefixBytes = 5;

/** The flag of a compressed message. */
export const compressedFlag = 0b1;

/** A message with its prefix, as a stream of Connect or gRPC carries it. */
export function enveloped(message: Uint8Array, flags = 0): Buffer {
  const envelope = Buffer.allocUnsafe(envelopePrefixBytes + message.length);
  envelope[0] = flags;
  envelope.writeUInt32BE(message.length, 1);
  envelope.set(message, envelopePrefixBytes);
  return envelope;
}

/** A message is longer than its reader accepts. Thrown before the message is read. */
export class MessageTooLargeError extends Error {
  override readonly name = "MessageTooLargeError";
  /** In bytes. */
  readonly length: number;
  /** What would have been read, in bytes. */
  readonly max: number;

  constructor(length: number, max: number) {
    super(`message size ${length} is larger than the ${max} bytes that are read at most`);
    this.length = length;
    this.max = max;
  }
}

/** Splits the bytes of a stream into messages. */
export class EnvelopeReader {
  readonly #maxMessageBytes: number;
  /** The chunks of a message that is not complete yet. */
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** The reader goes on once it has this many bytes. */
  #neededBytes = envelopePrefixBytes;
  #failed = false;

  /** @param maxMessageBytes - the largest message that is accepted */
  constructor(maxMessageBytes = Infinity) {
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** Whether the bytes so far end in the middle of a message. */
  get incomplete(): boolean {
    return this.#bytes > 0;
  }

  /**
   * Takes more bytes. After it has thrown once, it ignores all later bytes.
   *
   * @param receive - called with each message, which is a view of the bytes that came, and its flags
   * @throws MessageTooLargeError, or what `receive` throws
   */
  push(chunk: Buffer, receive: (message: Buffer, flags: number) => void): void {
    if (this.#failed) {
      return;
    }
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < this.#neededBytes) {
      return;
    }
    const bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#bytes);
    this.#chunks = [];
    // Stays so unless the following ends well.
    this.#failed = true;
    const rest = this.#take(bytes, receive);
    this.#failed = false;
    if (rest.length > 0) {
      this.#chunks.push(rest);
    }
    this.#bytes = rest.length;
  }

  /** Takes out the messages that are complete. @returns the remaining bytes */
  #take(bytes: Buffer, receive: (message: Buffer, flags: number) => void): Buffer {
    let rest = bytes;
    while (rest.length >= envelopePrefixBytes) {
      const length = rest.readUInt32BE(1);
      if (length > this.#maxMessageBytes) {
        throw new MessageTooLargeError(length, this.#maxMessageBytes);
      }
      const end = envelopePrefixBytes + length;
      if (rest.length < end) {
        this.#neededBytes = end;
        return rest;
      }
      receive(rest.subarray(envelopePrefixBytes, end), rest[0] ?? 0);
      rest = rest.subarray(end);
    }
    this.#neededBytes = envelopePrefixBytes;
    return rest;
  }
}
