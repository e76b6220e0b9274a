import { Code, ConnectError } from "@connectrpc/connect";
import { envelopePrefixBytes } from "./protobuf-fields.js";

/** Is given the messages, one after the other. */
export interface EnvelopeReceiver {
  receive(message: Buffer, flags: number): void;
}

/** Takes the messages of a gRPC call, or of a stream of Connect, out of the bytes in which they come. */
export class EnvelopeReader {
  readonly #maxMessageBytes: number;
  /** What came of a message that is not complete. */
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** With so many bytes, it goes on. */
  #neededBytes = envelopePrefixBytes;

  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** Whether the bytes so far end within a message. */
  get incomplete(): boolean {
    return this.#bytes > 0;
  }

  /**
   * Takes more bytes; the messages are views of them.
   *
   * @throws ConnectError of code `ResourceExhausted` for a message that is too large, before it was read
   */
  push(chunk: Buffer, receiver: EnvelopeReceiver): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < this.#neededBytes) {
      return;
    }
    let rest = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    this.#neededBytes = envelopePrefixBytes;
    while (rest.length >= envelopePrefixBytes) {
      const end = envelopePrefixBytes + this.#checked(rest.readUInt32BE(1));
      if (rest.length < end) {
        this.#neededBytes = end;
        break;
      }
      receiver.receive(rest.subarray(envelopePrefixBytes, end), rest[0] ?? 0);
      rest = rest.subarray(end);
    }
    this.#chunks = rest.length > 0 ? [rest] : [];
    this.#bytes = rest.length;
  }

  #checked(length: number): number {
    const max = this.#maxMessageBytes;
    if (length > max) {
      const message = `message size ${length} is larger than configured readMaxBytes ${max}`;
      throw new ConnectError(message, Code.ResourceExhausted);
    }
    return length;
  }
}

/** Among the flags of a message: it is compressed. */
export const compressedFlag = 0b1;

/** What Connect says of a message that is marked as compressed, where no compression was announced. */
export function compressedUnexpectedly(): ConnectError {
  return new ConnectError("received compressed envelope, but do not know how to decompress", Code.Internal);
}

/** What Connect says of bytes that end within a message. */
export function incompleteEnvelope(): ConnectError {
  return new ConnectError("protocol error: incomplete envelope", Code.InvalidArgument);
}
