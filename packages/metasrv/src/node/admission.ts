import { HashTable, ticketIdLength } from "@metasrv/wire";
import type { Fold } from "../fold/fold.js";
import type { Limits } from "../model/limits.js";
import { type ForcedBy, LockError } from "../model/lock-errors.js";
import {
  exclusive,
  extrasOf,
  type HeldTicket,
  type LockPart,
  noLimit,
  type Share,
  type TicketContent,
} from "../model/ticket-content.js";
import { decodeLockKey, hashOfName, type LockKey, type LockName, lockNameOf } from "../model/ticket-ref.js";
import type { ClaimRequest } from "./claim.js";

/** How many locks may be asked for at once. */
export const mostParts = 16;

const mostLabels = 8;
const mostLabelKeyBytes = 64;
const mostLabelBytes = 256;
const mostWithin = 16;
const mostValueBytes = 1024;
const mostReasonBytes = 256;

/** A request that can be served. */
export interface CheckedClaim {
  readonly name: LockName;
  readonly content: Omit<TicketContent, "resumable">;
}

/**
 * Checks a request against the limits and fills in the defaults.
 *
 * @throws LockError `invalid-name`, `invalid-ticket-id`, `invalid-ttl`, `invalid-wait`, `invalid-owner`, `invalid-permits`,
 *   `invalid-parts`, `invalid-labels`, `invalid-within` or `invalid-value`; it says what was expected and what came
 */
export function checkClaim(request: ClaimRequest, limits: Limits): CheckedClaim {
  const { ticketId, ttlMs = 0, waitMs, owner = "", labels, within, value } = request;
  const parts = checkParts(request, limits);
  const { name, permits, limit } = parts[0];
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
  const extras = extrasOf({
    others: parts.length === 1 ? undefined : parts.slice(1),
    labels: labels && checkLabels(labels),
    within: within && checkWithin(within, limits),
    value: value && checkValue(value),
  });
  const checkedMs = ttlMs === 0 ? limits.defaultTtlMs : checkTtl(ttlMs, limits);
  return { name, content: { ttlMs: checkedMs, owner, permits, limit, extras } };
}

/** The locks that are asked for, in the order of their names. */
function checkParts({ name, share, others }: ClaimRequest, limits: Limits): readonly [LockPart, ...LockPart[]] {
  const first = checkPart(name, share, limits);
  if (others === undefined || others.length === 0) {
    return [first];
  }
  if (others.length >= mostParts) {
    throw new LockError(
      "invalid-parts",
      `${others.length + 1} locks are asked for at once; ask for at most ${mostParts}, or for one that stands for them all`,
    );
  }
  const parts = [first, ...others.map((part) => checkPart(part.name, part.share, limits))];
  parts.sort((a, b) => (a.name < b.name ? -1 : 1));
  if (parts.some((part, at) => part.name === parts[at + 1]?.name)) {
    throw new LockError("invalid-parts", "a lock is asked for twice in one request; name each lock once");
  }
  return parts as [LockPart, ...LockPart[]];
}

function checkPart(name: Uint8Array, share: Share = exclusive, limits: Limits): LockPart {
  checkName(name, limits);
  checkShare(share);
  return { name: lockNameOf(name), permits: share.permits, limit: share.limit };
}

/**
 * Checks a lock's name.
 *
 * @throws LockError `invalid-name`
 */
export function checkName(name: Uint8Array, { maxNameBytes }: Limits): void {
  if (name.byteLength === 0) {
    throw new LockError("invalid-name", `the lock's name is empty; give it 1 to ${maxNameBytes} bytes`);
  }
  if (name.byteLength > maxNameBytes) {
    throw new LockError(
      "invalid-name",
      `the lock's name has ${name.byteLength} bytes; give it 1 to ${maxNameBytes} bytes`,
    );
  }
}

function checkLabels(labels: Readonly<Record<string, string>>): readonly (readonly [string, string])[] {
  const pairs = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  if (pairs.length > mostLabels) {
    throw new LockError("invalid-labels", `there are ${pairs.length} labels; give at most ${mostLabels}`);
  }
  for (const [key, text] of pairs) {
    const keyBytes = Buffer.byteLength(key);
    if (keyBytes === 0 || keyBytes > mostLabelKeyBytes || Buffer.byteLength(text) > mostLabelBytes) {
      throw new LockError(
        "invalid-labels",
        `the label ${JSON.stringify(key.slice(0, mostLabelKeyBytes))} has a key of ${keyBytes} bytes and a text of ` +
          `${Buffer.byteLength(text)}; give keys of 1 to ${mostLabelKeyBytes} bytes and texts of at most ${mostLabelBytes}`,
      );
    }
  }
  return pairs;
}

function checkWithin(
  within: readonly { readonly name: Uint8Array; readonly token: bigint }[],
  limits: Limits,
): readonly HeldTicket[] {
  if (within.length > mostWithin) {
    throw new LockError(
      "invalid-within",
      `the requester holds ${within.length} locks meanwhile; name at most ${mostWithin} of them`,
    );
  }
  return within.map(({ name, token }) => {
    checkName(name, limits);
    if (token <= 0n || token >= 1n << 63n) {
      throw new LockError(
        "invalid-within",
        `the token of a lock that the requester holds is ${token}; give that of its grant`,
      );
    }
    return { name: lockNameOf(name), token };
  });
}

/**
 * Checks what others are to read while a lock is held.
 *
 * @returns it, with a character for each byte
 * @throws LockError `invalid-value`
 */
export function checkValue(value: Uint8Array): string {
  if (value.byteLength > mostValueBytes) {
    throw new LockError("invalid-value", `the value has ${value.byteLength} bytes; give at most ${mostValueBytes}`);
  }
  return Buffer.from(value).toString("latin1");
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
 * Reads a key.
 *
 * @throws LockError `invalid-key` for anything that no grant was answered with
 */
export function checkKey(bytes: Uint8Array, maxNameBytes: number): LockKey {
  const read = decodeLockKey(bytes, maxNameBytes);
  if ("why" in read) {
    throw new LockError(
      "invalid-key",
      `the key is not one that a lock request was answered with: ${read.why}; give back the bytes of the answer unchanged`,
      { cause: read.cause },
    );
  }
  return read;
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

/**
 * Checks what an operator says who takes a lock away.
 *
 * @throws LockError `invalid-force`
 */
export function checkForce({ actor, reason }: ForcedBy): void {
  const reasonBytes = Buffer.byteLength(reason);
  if (reasonBytes === 0 || reasonBytes > mostReasonBytes) {
    throw new LockError(
      "invalid-force",
      `the reason has ${reasonBytes} bytes; say why in 1 to ${mostReasonBytes} bytes`,
    );
  }
  const actorBytes = Buffer.byteLength(actor);
  if (actorBytes > mostReasonBytes) {
    throw new LockError("invalid-force", `the actor has ${actorBytes} bytes; give at most ${mostReasonBytes} bytes`);
  }
}

/**
 * Bounds what may be asked for at this node. A ticket counts as a waiter as soon as it is asked for: otherwise a burst
 * of requests could exceed the bound before the table shows them.
 */
export class Admission {
  readonly #limits: Limits;
  readonly #fold: Pick<Fold, "waiters" | "room">;
  /** Number of tickets that were asked for and are not in the table yet, by lock. */
  readonly #unseen = new HashTable<LockName, number>(hashOfName);

  constructor(limits: Limits, fold: Pick<Fold, "waiters" | "room">) {
    this.#limits = limits;
    this.#fold = fold;
  }

  /**
   * Checks that there is room for one more ticket.
   *
   * @param served - how many tickets this node serves already
   * @param joins - whether the ticket may have to wait in its lock's queue
   * @throws LockError `too-many-tickets` or `too-many-waiters`
   */
  requireRoom(name: LockName, content: TicketContent, served: number, joins: boolean): void {
    const { maxTickets, maxWaitersPerLock } = this.#limits;
    if (served >= maxTickets) {
      throw new LockError(
        "too-many-tickets",
        `this node serves ${maxTickets} tickets already, as many as it is configured to; ask another node, or raise the limit`,
      );
    }
    if (!joins) {
      return;
    }
    if (content.extras?.others.some((part) => this.#fold.waiters(part.name) >= maxWaitersPerLock) === true) {
      throw tooManyWaiters(maxWaitersPerLock);
    }
    const queued = this.#fold.waiters(name) + (this.#unseen.get(name) ?? 0);
    // The first unseen tickets will hold the lock at once, as many as it has room for. They are no waiters.
    if (queued >= maxWaitersPerLock && queued >= maxWaitersPerLock + this.#fold.room(name, content)) {
      throw tooManyWaiters(maxWaitersPerLock);
    }
  }

  /** Counts a ticket until it is {@link seen}. */
  count(ticket: { readonly name: LockName; counted: boolean }): void {
    ticket.counted = true;
    this.#unseen.set(ticket.name, (this.#unseen.get(ticket.name) ?? 0) + 1);
  }

  /** Stops counting a ticket, because the table shows it now or never will. Harmless when repeated. */
  seen(ticket: { readonly name: LockName; counted: boolean }): void {
    if (!ticket.counted) {
      return;
    }
    ticket.counted = false;
    const unseen = (this.#unseen.get(ticket.name) ?? 1) - 1;
    if (unseen === 0) {
      this.#unseen.delete(ticket.name);
    } else {
      this.#unseen.set(ticket.name, unseen);
    }
  }
}

function tooManyWaiters(maxWaitersPerLock: number): LockError {
  return new LockError(
    "too-many-waiters",
    `${maxWaitersPerLock} requests wait for this lock already, as many as are allowed; try again later`,
  );
}
