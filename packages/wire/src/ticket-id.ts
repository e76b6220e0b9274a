import { randomFillSync } from "node:crypto";

/** Bytes in a ticket id. */
export const ticketIdLength = 16;

const idsInPool = 256;

/**
 * Makes a source of ticket ids. It takes random bytes for many ids at a time: asking the operating system costs as much
 * for one id as for all of them, and more than everything else that a request for a lock does.
 *
 * @param fill - fills the bytes with random ones; by default from the operating system
 */
export function createTicketIds(fill: (bytes: Uint8Array) => void = randomFillSync): () => Uint8Array {
  const pool = new Uint8Array(idsInPool * ticketIdLength);
  let used = pool.length;
  return () => {
    if (used === pool.length) {
      fill(pool);
      used = 0;
    }
    used += ticketIdLength;
    // A copy: a view would keep the whole pool in memory as long as one of its ids is used.
    return pool.slice(used - ticketIdLength, used);
  };
}

/** 128 random bits that were never given out before. */
export const newTicketId: () => Uint8Array = createTicketIds();
