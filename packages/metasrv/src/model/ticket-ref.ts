/**
 * A lock's name, which may be any bytes, as a string with one character (code 0 to 255) for each byte. Such a string is
 * short in memory, quick to hash, and becomes the same bytes again. To show a name to people, use {@link showLockName}.
 */
export type LockName = string & { readonly __brand: "LockName" };

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

/** The 16 bytes of an id. */
export function ticketIdBytes(id: TicketId): Buffer {
  return Buffer.from(id, "latin1");
}

/** What names a ticket. */
export interface TicketRef {
  readonly name: LockName;
  readonly id: TicketId;
}
