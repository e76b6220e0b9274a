/** What precedes each message: a byte of flags and the message's length. */
const prefixBytes = 5;

/** A message as it goes over a gRPC call. */
export function withGrpcPrefix(message: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(prefixBytes + message.length);
  bytes[0] = 0;
  bytes.writeUInt32BE(message.length, 1);
  message.copy(bytes, prefixBytes);
  return bytes;
}

/** Takes the messages of a gRPC call out of the bytes in which they come. */
export class GrpcMessageReader {
  /** What came of a message that is not complete. */
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** With so many bytes, it goes on. */
  #neededBytes = prefixBytes;

  /** Takes more bytes; the messages may be views of them. */
  push(chunk: Buffer, receive: (message: Buffer) => void): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < this.#neededBytes) {
      return;
    }
    let rest = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    this.#neededBytes = prefixBytes;
    while (rest.length >= prefixBytes) {
      const end = prefixBytes + rest.readUInt32BE(1);
      if (rest.length < end) {
        this.#neededBytes = end;
        break;
      }
      receive(rest.subarray(prefixBytes, end));
      rest = rest.subarray(end);
    }
    this.#chunks = rest.length > 0 ? [rest] : [];
    this.#bytes = rest.length;
  }
}
