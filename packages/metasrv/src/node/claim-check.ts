import { ticketIdLength } from "@metasrv/wire";
import type { Limits } from "../model/limits.js";
import { LockError } from "../model/lock-errors.js";
import { exclusive, noLimit, type Share } from "../model/share.js";
import type { ClaimRequest } from "./claim.js";

/**
 * Checks a request against the limits and fills in the defaults.
 *
 * @throws LockError `invalid-name`, `invalid-ticket-id`, `invalid-ttl`, `invalid-wait`, `invalid-owner` or
 *   `invalid-permits`; it says what was expected and what came
 */
export function checkClaim(request: ClaimRequest, limits: Limits): { ttlMs: number; owner: string; share: Share } {
  const { name, ticketId, ttlMs = 0, waitMs, owner = "", share = exclusive } = request;
  if (name.byteLength === 0) {
    throw new LockError("invalid-name", `the lock's name is empty; give it 1 to ${limits.maxNameBytes} bytes`);
  }
  if (name.byteLength > limits.maxNameBytes) {
    throw new LockError(
      "invalid-name",
      `the lock's name has ${name.byteLength} bytes; give it 1 to ${limits.maxNameBytes} bytes`,
    );
  }
  if (ticketId !== undefined && ticketId.byteLength !== ticketIdLength) {
    throw new LockError(
      "invalid-ticket-id",
      `the ticket id has ${ticketId.byteLength} bytes; give it ${ticketIdLength} random bytes, or none`,
    );
  }
  if (waitMs !== undefined && !(waitMs >= 0)) {
    throw new LockError(
      "invalid-wait",
      `the wait is ${waitMs} ms; give 0 to be refused at once, more to wait that long, or nothing to wait without end`,
    );
  }
  const ownerBytes = Buffer.byteLength(owner);
  if (ownerBytes > limits.maxOwnerBytes) {
    throw new LockError(
      "invalid-owner",
      `the owner text has ${ownerBytes} bytes; give it at most ${limits.maxOwnerBytes} bytes`,
    );
  }
  checkShare(share);
  return { ttlMs: ttlMs === 0 ? limits.defaultTtlMs : checkTtl(ttlMs, limits), owner, share };
}

function checkShare({ permits, limit }: Share): void {
  if (!(limit >= 1 && limit <= noLimit)) {
    throw new LockError("invalid-permits", `the limit is ${limit}; say how many permits there are, at least 1`);
  }
  if (!(permits >= 1 && permits <= limit)) {
    throw new LockError("invalid-permits", `${permits} permits of ${limit} are asked for; ask for 1 to ${limit}`);
  }
}

/**
 * Checks a TTL in milliseconds.
 *
 * @throws LockError `invalid-ttl`
 */
export function checkTtl(ttlMs: number, limits: Limits): number {
  if (!(ttlMs >= limits.minTtlMs && ttlMs <= limits.maxTtlMs)) {
    throw new LockError(
      "invalid-ttl",
      `the TTL is ${ttlMs} ms; give ${limits.minTtlMs} to ${limits.maxTtlMs} ms, or 0 for the default of ` +
        `${limits.defaultTtlMs} ms`,
    );
  }
  return ttlMs;
}
