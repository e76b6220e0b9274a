import { randomBytes } from "node:crypto";

const poolBytes = 4_096;

/**
 * Makes a source of random bytes, as good as the operating system's, from which it takes many at a time: for 16 bytes,
 * the way there costs more than everything else that a request for a lock does.
 */
export function createRandomPool(): (bytes: number) => Uint8Array {
  let pool = randomBytes(poolBytes);
  let taken = 0;
  return (bytes) => {
    if (taken + bytes > pool.length) {
      pool = randomBytes(Math.max(poolBytes, bytes));
      taken = 0;
    }
    taken += bytes;
    return pool.subarray(taken - bytes, taken);
  };
}
