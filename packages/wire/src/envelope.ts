/** Bytes before each message in a stream of gRPC or Connect: one of flags, four of the message's length. */
export const envelopePrefixBytes = 5;

/** Among the flags of a message: it is compressed. */
export const compressedFlag = 0b1;

/** A message with its prefix, as it goes over a stream of Connect or gRPC. */
export function enveloped(message: Uint8Array, flags = 0): Buffer {
  const envelope = Buffer.allocUnsafe(envelopePrefixBytes + message.length);
  envelope[0] = flags;
  envelope.writeUInt32BE(message.length, 1);
  envelope.set(message, envelopePrefixBytes);
  return envelope;
}

/** A message that is longer than its reader takes; told before the message was read. */
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

/** Takes the messages out of the bytes in which they come. */
export class EnvelopeReader {
  readonly #maxMessageBytes: number;
  /** What came of a message that is not complete. */
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** With so many bytes, it goes on. */
  #neededBytes = envelopePrefixBytes;
  #failed = false;

  /** @param maxMessageBytes - the largest message that is read */
  constructor(maxMessageBytes = Infinity) {
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** Whether the bytes so far end within a message. */
  get incomplete(): boolean {
    return this.#bytes > 0;
  }

  /**
   * Takes more bytes. Once it has thrown, it passes over what comes.
   *
   * @param receive - is given each message, a view of what came, and its flags
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
    // Until it has ended well.
    this.#failed = true;
    const rest = this.#take(bytes, receive);
    this.#failed = false;
    if (rest.length > 0) {
      this.#chunks.push(rest);
    }
    this.#bytes = rest.length;
  }

  /** Takes the messages that have come whole. @returns the rest */
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
