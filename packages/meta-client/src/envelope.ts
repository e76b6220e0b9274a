import { Code, ConnectError } from "@connectrpc/connect";

const prefixBytes = 5;
const compressedFlag = 0b1;

/** Far more than a server puts into one message. */
const maxMessageBytes = 4 * 1024 * 1024;

/** A message as it goes over a stream of Connect or gRPC: one byte of flags, four of its length, and itself. */
export function enveloped(message: Uint8Array): Buffer {
  const envelope = Buffer.allocUnsafe(prefixBytes + message.length);
  envelope[0] = 0;
  envelope.writeUInt32BE(message.length, 1);
  envelope.set(message, prefixBytes);
  return envelope;
}

/** Takes the messages out of the bytes in which they come. */
export class EnvelopeReader {
  readonly #take: (flags: number, message: Buffer) => void;
  #rest: Buffer | undefined;

  /** @param take - is given each message, a view of what came */
  constructor(take: (flags: number, message: Buffer) => void) {
    this.#take = take;
  }

  /** @throws ConnectError for a message that no server of ours sends */
  push(chunk: Buffer): void {
    let rest = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = undefined;
    while (rest.length >= prefixBytes) {
      const flags = rest.readUInt8(0);
      const end = prefixBytes + rest.readUInt32BE(1);
      if (end > maxMessageBytes || (flags & compressedFlag) !== 0) {
        throw new ConnectError(
          `a message of the server is compressed or too long (flags ${flags}, ${end - prefixBytes} bytes); ` +
            "check that nothing on the way to metasrv changes its answers",
          Code.Internal,
        );
      }
      if (rest.length < end) break;
      this.#take(flags, rest.subarray(prefixBytes, end));
      rest = rest.subarray(end);
    }
    if (rest.length > 0) this.#rest = rest;
  }
}
