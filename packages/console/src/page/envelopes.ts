/** One message of a stream, and its flags. */
export interface Envelope {
  readonly flags: number;
  readonly message: Uint8Array;
}

/** The flag of the last message of a stream, which says how it ended. */
export const endFlag = 0b10;

const prefixBytes = 5;

/** Puts the prefix of five bytes before a message: its flags, none here, and its length. */
export function enveloped(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(prefixBytes + message.length);
  new DataView(bytes.buffer).setUint32(1, message.length);
  bytes.set(message, prefixBytes);
  return bytes;
}

/**
 * Splits the bytes of a stream into its messages, however they arrive.
 *
 * @throws Error when the bytes end in the middle of a message
 */
export async function* envelopes(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Envelope, void, undefined> {
  let pending = new Uint8Array();
  for await (const chunk of chunks) {
    const bytes = new Uint8Array(pending.length + chunk.length);
    bytes.set(pending);
    bytes.set(chunk, pending.length);
    const view = new DataView(bytes.buffer);
    let at = 0;
    while (bytes.length - at >= prefixBytes) {
      const end = at + prefixBytes + view.getUint32(at + 1);
      if (end > bytes.length) {
        break;
      }
      yield { flags: bytes[at] ?? 0, message: bytes.subarray(at + prefixBytes, end) };
      at = end;
    }
    pending = bytes.slice(at);
  }
  if (pending.length > 0) {
    throw new Error("the stream broke in the middle of a message");
  }
}
