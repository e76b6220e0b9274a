import { randomFillSync } from "node:crypto";

const idBytes = 16;
// Asking for random bytes costs the same for one id as for many.
const pool = new Uint8Array(256 * idBytes);
let used = pool.length;

/** 128 random bits that were never given out before. */
export function newTicketId(): Uint8Array {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  return pool.slice(used, (used += idBytes));
}
