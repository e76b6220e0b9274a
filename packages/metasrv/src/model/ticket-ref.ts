import { fromBinary } from "@bufbuild/protobuf";
import { LockKeySchema } from "@metasrv/proto/metasrv/store/v1";
import { FieldWriter, ticketIdLength } from "@metasrv/wire";

/**
 * A lock's name, which may be any bytes, as a string with one character (code 0 to 255) for each byte. Such a string is
 * short in memory, quick to hash, and becomes the same bytes again. To show a name to people, use {@link showLockName}.
 */
export type LockName = string & { readonly __brand: "LockName" };

// Where code runs in a context of its own, as under Jest, looking up a global for each byte takes most of the time.
const { imul } = Math;

/** A hash of the whole name: names of many shapes differ at any place. */
export function hashOfName(name: LockName): number {
  let hash = name.length;
  for (let at = 0; at < name.length; at++) {
    hash = imul(hash ^ name.charCodeAt(at), 0x0100_0193);
  }
  return hash ^ (hash >>> 15);
}

/** The name that these bytes are. */
export function lockNameOf(bytes: Uint8Array): LockName {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1") as LockName;
}

/** The bytes of a name. */
export function lockNameBytes(name: LockName): Buffer {
  return Buffer.from(name, "latin1");
}

const plainAscii = /^[\x20-\x24\x26-\x7e]*$/;
const unprintable = /[\p{C}\p{Zl}\p{Zp}%]/gu;

/**
 * A name for people to read, in logs and listings: its UTF-8 text. Bytes that are not UTF-8, characters that cannot be
 * printed and the percent sign are written byte by byte as `%` and two hexadecimal digits, so that different names stay
 * different.
 */
export function showLockName(name: LockName): string {
  if (plainAscii.test(name)) {
    return name;
  }
  const bytes = lockNameBytes(name);
  const text = bytes.toString("utf8");
  if (Buffer.from(text, "utf8").equals(bytes)) {
    return text.replace(unprintable, (character) => percent(Buffer.from(character, "utf8")));
  }
  return name.replace(/[^\x20-\x24\x26-\x7e]/g, (character) => percent(lockNameBytes(character as LockName)));
}

/**
 * Reads a name, or the beginning of one, as {@link showLockName} writes it: `%` and two hexadecimal digits stand for a
 * byte, `%25` for the percent sign.
 *
 * @returns undefined if a percent sign stands for itself
 */
export function readLockName(text: string): LockName | undefined {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) {
    return undefined;
  }
  // What splits stands between what is split.
  const parts = text.split(/%([0-9A-Fa-f]{2})/).map((part, at) => Buffer.from(part, at % 2 === 1 ? "hex" : "utf8"));
  return lockNameOf(Buffer.concat(parts));
}

function percent(bytes: Buffer): string {
  return [...bytes].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");
}

/**
 * A ticket's id: 16 random bytes, as a string with one character (code 0 to 255) for each byte. Whoever knows the id
 * can unlock the lock, so it is never shown or logged.
 */
export type TicketId = string & { readonly __brand: "TicketId" };

/** The id that these 16 bytes are. */
export function ticketIdFrom(bytes: Uint8Array): TicketId {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1") as TicketId;
}

/** A hash of an id's end: ids are random, or count. */
export function hashOfId(id: TicketId): number {
  const last = id.length - 1;
  return (
    id.charCodeAt(last) |
    (id.charCodeAt(last - 1) << 8) |
    (id.charCodeAt(last - 2) << 16) |
    (id.charCodeAt(last - 3) << 24)
  );
}

/** The 16 bytes of an id. */
export function ticketIdBytes(id: TicketId): Buffer {
  return Buffer.from(id, "latin1");
}

/** What names a ticket. */
export interface TicketRef {
  readonly name: LockName;
  readonly id: TicketId;
}

/** What a key says. Whoever has it was given the 128 random bits of the ticket's id, and so owns the ticket. */
export interface LockKey extends TicketRef {
  /** Fencing token of the grant. Because of it, the key does not open a later ticket, even one with the same id. */
  readonly token: bigint;
}

const writer = new FieldWriter();

/** Room that a key needs besides the name. */
const overheadBytes = 64;

/** The opaque bytes of a key, a `metasrv.store.v1.LockKey`; the same key gives the same bytes. */
export function encodeLockKey({ name, id, token }: LockKey): Uint8Array {
  // Written field by field, because every grant needs one.
  writer.latin1(1, name);
  writer.latin1(2, id);
  writer.bigint(3, token);
  return writer.take();
}

/** Why bytes are no key. */
export interface NotAKey {
  readonly why: string;
  readonly cause?: unknown;
}

/** Reads a key, or says why it cannot be one that {@link encodeLockKey} has made. */
export function decodeLockKey(bytes: Uint8Array, maxNameBytes: number): LockKey | NotAKey {
  if (bytes.byteLength === 0) {
    return { why: "it is empty" };
  }
  if (bytes.byteLength > maxNameBytes + overheadBytes) {
    return { why: `it has ${bytes.byteLength} bytes` };
  }
  let message;
  try {
    message = fromBinary(LockKeySchema, bytes);
  } catch (cause) {
    return { why: "its bytes cannot be read", cause };
  }
  if (
    message.name.byteLength === 0 ||
    message.name.byteLength > maxNameBytes ||
    message.ticketId.byteLength !== ticketIdLength ||
    message.token === 0n ||
    message.token >= 1n << 63n
  ) {
    return { why: "its bytes do not name a grant" };
  }
  const key = { name: lockNameOf(message.name), id: ticketIdFrom(message.ticketId), token: message.token };
  if (Buffer.compare(encodeLockKey(key), bytes) !== 0) {
    return { why: "its bytes are not as they were given" };
  }
  return key;
}
