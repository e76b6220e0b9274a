import type { TicketId } from "../log/ticket-log.js";

/** Bytes in a ticket id. */
export const ticketIdLength = 16;

/** The id that these 16 bytes are. */
export function ticketIdFrom(bytes: Uint8Array): TicketId {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex") as TicketId;
}

/** The 16 bytes of an id. */
export function ticketIdBytes(id: TicketId): Uint8Array {
  return Buffer.from(id, "hex");
}

/** The id in `text`, or undefined if there is none. */
export function parseTicketId(text: string): TicketId | undefined {
  return /^[0-9a-f]{32}$/.test(text) ? (text as TicketId) : undefined;
}
