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
