// The few bytes of metasrv.v1 that the raw load generator writes and reads, without a protobuf library.

const lengthDelimited1 = 0x0a; // Field 1, length-delimited.

/** `LockRequest { name, ttl_ms }`. The name has fewer than 128 bytes. */
export function encodeLockRequest(name: string, ttlMs: number): Buffer {
  const ttl = varint(ttlMs);
  const bytes = Buffer.from(name);
  return Buffer.from([lengthDelimited1, bytes.length, ...bytes, 0x28, ...ttl]);
}

/** `UnlockRequest { key }`. */
export function encodeUnlockRequest(key: Buffer): Buffer {
  return Buffer.concat([Buffer.from([lengthDelimited1, ...varint(key.length)]), key]);
}

/** `LockResponse { granted { key } }`. */
export function encodeGrant(key: Buffer): Buffer {
  const grant = encodeUnlockRequest(key);
  return encodeUnlockRequest(grant);
}

/**
 * The key in a `LockResponse`.
 *
 * @throws Error when it holds no grant
 */
export function keyOfLockResponse(message: Buffer): Buffer {
  return field1(field1(message));
}

function field1(message: Buffer): Buffer {
  if (message[0] !== lengthDelimited1) {
    throw new Error("the answer is no grant");
  }
  let length = 0;
  let at = 1;
  for (let shift = 0; ; shift += 7) {
    const byte = message[at++] ?? 0;
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      break;
    }
  }
  return message.subarray(at, at + length);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) {
      return [...bytes, rest];
    }
    bytes.push((rest % 128) | 0x80);
  }
}
