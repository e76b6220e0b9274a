import {
  type Grant,
  type Holder as HolderMessage,
  LockMode,
  type LockPart,
  type LockRequest,
  type LockState as LockStateMessage,
  type Refusal,
} from "@metasrv/proto/metasrv/v1";
import { type Holder, LockError, type LockState } from "../model/lock-errors.js";
import { exclusive, noLimit, type Share, shared } from "../model/ticket-content.js";
import { type LockName, lockNameBytes } from "../model/ticket-ref.js";
import type { ClaimRequest, Grant as NodeGrant, Renewal } from "../node/claim.js";

/*
 * The one place where a claim is read from what a caller sends, and where what becomes of it is made into what is sent.
 */

/**
 * Reads what a caller asks for. Numbers above 2^53 become inexact here; the node checks their range.
 *
 * @param header - the traceparent that came beside the request; counts if the request has none and it is sampled
 * @throws LockError `invalid-mode`, `invalid-permits`, `invalid-parts`
 */
export function claimRequest(request: LockRequest, header?: string): ClaimRequest {
  const { ticketId, attempt, ttlMs, waitMs, owner, parts, labels, within, value, traceparent } = request;
  const hasTicketId = ticketId.byteLength > 0;
  const [first, ...others] = parts.length === 0 ? [request] : severalOf(request);
  // One literal without spreads: this is made for each request, and spreads cost more than all the rest of it.
  return {
    name: nameBytes(first.lock),
    share: shareOf(first),
    others:
      others.length === 0 ? undefined : others.map((part) => ({ name: nameBytes(part.lock), share: shareOf(part) })),
    ticketId: hasTicketId ? ticketId : undefined,
    attempt: hasTicketId ? attempt : undefined,
    ttlMs: Number(ttlMs),
    waitMs: waitMs === undefined ? undefined : Number(waitMs),
    owner,
    labels: Object.keys(labels).length === 0 ? undefined : labels,
    within: within.length === 0 ? undefined : within.map(({ lock, token }) => ({ name: nameBytes(lock), token })),
    value: value.length === 0 ? undefined : value,
    traceparent: matching(traceparentForm, traceparent) ?? matching(sampledForm, header),
  };
}

/** Version 00 of W3C Trace Context. Who knows a later one must write that, too. */
const traceparentForm = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The same with the flag "sampled". As a header it is sent without it, too. */
const sampledForm = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f][13579bdf]$/;

function matching(form: RegExp, text: string | undefined): string | undefined {
  return text !== undefined && form.test(text) ? text : undefined;
}

type Part = Pick<LockPart, "lock" | "mode" | "permits" | "limit">;

function severalOf({ lock, mode, permits, limit, parts }: LockRequest): readonly [Part, ...Part[]] {
  if (lock.case !== undefined || mode !== LockMode.UNSPECIFIED || permits !== 0 || limit !== 0) {
    throw new LockError(
      "invalid-parts",
      "the request has parts and a lock, mode, permits or limit of its own; name each lock among the parts, with its mode",
    );
  }
  const [first, ...others] = parts;
  if (first === undefined || others.length === 0) {
    throw new LockError(
      "invalid-parts",
      "the request has one part; give at least 2, or ask for the lock without parts",
    );
  }
  return [first, ...others];
}

/** The bytes of a name, or of a prefix; none where it is absent. */
export function nameBytes(named: { readonly value?: string | Uint8Array | undefined }): Uint8Array {
  const { value = new Uint8Array() } = named;
  return typeof value === "string" ? Buffer.from(value) : value;
}

/**
 * Reads what a renewal changes.
 *
 * @throws LockError `invalid-mode`
 */
export function renewalOf({
  ttlMs,
  mode,
  value,
}: {
  readonly ttlMs: bigint;
  readonly mode: LockMode;
  readonly value?: Uint8Array | undefined;
}): Renewal {
  if (mode !== LockMode.UNSPECIFIED && mode !== LockMode.SHARED) {
    throw new LockError(
      "invalid-mode",
      `mode is ${nameOf(mode)}; a renewal can only make an exclusive lock shared (LOCK_MODE_SHARED) or keep the mode. To ` +
        "hold it otherwise, release it and ask again: two holders that each wait for the other to go would wait for ever",
    );
  }
  return { ttlMs: Number(ttlMs), downgrade: mode === LockMode.SHARED, ...(value !== undefined && { value }) };
}

function shareOf({ mode, permits, limit }: Part): Share {
  switch (mode) {
    case LockMode.UNSPECIFIED:
    case LockMode.EXCLUSIVE:
      requireNoPermits(mode, permits, limit);
      return exclusive;
    case LockMode.SHARED:
      requireNoPermits(mode, permits, limit);
      return shared;
    case LockMode.SEMAPHORE:
      if (limit === 0 || limit === noLimit) {
        throw new LockError(
          "invalid-permits",
          `the limit is ${limit}; with LOCK_MODE_SEMAPHORE, say how many permits there are, 1 to ${noLimit - 1}`,
        );
      }
      return { permits: permits === 0 ? 1 : permits, limit };
    default:
      throw new LockError(
        "invalid-mode",
        `mode is ${nameOf(mode)}; give LOCK_MODE_EXCLUSIVE, LOCK_MODE_SHARED, LOCK_MODE_SEMAPHORE, or none`,
      );
  }
}

function requireNoPermits(mode: LockMode, permits: number, limit: number): void {
  if (permits !== 0 || limit !== 0) {
    throw new LockError(
      "invalid-permits",
      `permits and limit are ${permits} and ${limit}, and mode is ${nameOf(mode)}; give them with LOCK_MODE_SEMAPHORE only`,
    );
  }
}

/** A newer caller may send modes that have no name here. */
function nameOf(mode: LockMode): string {
  return mode in LockMode ? `LOCK_MODE_${LockMode[mode]}` : String(mode);
}

/** A grant, as it is sent. */
export function grantMessage(grant: NodeGrant): Grant {
  const { key, token, ttlMs, waitedMs, floor, limit, parts, unblockedBy } = grant;
  return {
    $typeName: "metasrv.v1.Grant",
    key,
    token,
    ttlMs: BigInt(ttlMs),
    waitedMs,
    floor,
    limit: shownLimit(limit),
    parts: parts.map((part) => {
      return { $typeName: "metasrv.v1.PartGrant", floor: part.floor, limit: shownLimit(part.limit) };
    }),
    unblockedBy,
  };
}

/** Only of a semaphore. */
function shownLimit(limit: number): number {
  return limit === 1 || limit === noLimit ? 0 : limit;
}

/** A refusal, as it is sent. */
export function refusalMessage(state: LockState): Refusal {
  return { $typeName: "metasrv.v1.Refusal", state: stateMessage(state) };
}

/** Who stands in the way of a lock, as it is sent. */
export function stateMessage(state: LockState): LockStateMessage {
  // Field by field: V8 makes copies of a part of an object in the old generation, and lists have a million of them.
  return {
    $typeName: "metasrv.v1.LockState",
    holderOwner: state.holderOwner,
    holderToken: state.holderToken,
    waiters: state.waiters,
    holders: state.holders.map(holderMessage),
    holderCount: state.holderCount,
    permitsHeld: state.permitsHeld,
    limit: state.limit,
    position: state.position,
    lock: state.name === undefined ? { case: undefined } : wireName(state.name),
  };
}

function holderMessage({ owner, token, permits, heldMs, reserves }: Holder): HolderMessage {
  return {
    $typeName: "metasrv.v1.Holder",
    owner,
    token,
    permits,
    heldMs: BigInt(Math.max(0, Math.floor(heldMs))),
    reserves,
  };
}

const ascii = /^\p{ASCII}*$/u;

/** How a lock is named on the wire: as a text where its bytes are UTF-8, as such a text names the same lock; else as bytes. */
export function wireName(
  name: LockName,
): { readonly case: "name"; readonly value: string } | { readonly case: "nameBytes"; readonly value: Uint8Array } {
  if (ascii.test(name)) {
    return { case: "name", value: name };
  }
  const bytes = lockNameBytes(name);
  const text = bytes.toString("utf8");
  return Buffer.from(text, "utf8").equals(bytes)
    ? { case: "name", value: text }
    : { case: "nameBytes", value: new Uint8Array(bytes) };
}
