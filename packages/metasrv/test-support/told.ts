import type { CommandWaiter } from "../src/log/command-log.js";
import type { Command, Outcome } from "../src/model/command.js";
import { defaultLimits } from "../src/model/limits.js";
import type { LockError, LockState } from "../src/model/lock-errors.js";
import { exclusive, type Share, type TicketContent } from "../src/model/ticket-content.js";
import { type LockName, lockNameOf, type TicketId, ticketIdFrom } from "../src/model/ticket-ref.js";
import { checkKey } from "../src/node/admission.js";

/** Remembers what becomes of a command. */
export class Told implements CommandWaiter {
  /** `settled holds`, `failed not-a-member`, ..., in the order in which it was told. */
  readonly words: string[] = [];
  outcome: Outcome | undefined;
  error: LockError | undefined;

  settled(outcome: Outcome): void {
    this.outcome = outcome;
    this.words.push(`settled ${outcome.kind}`);
  }

  failed(error: LockError): void {
    this.error = error;
    this.words.push(`failed ${error.reason}`);
  }

  overdue(error: LockError): void {
    this.error = error;
    this.words.push(`overdue ${error.reason}`);
  }
}

/** The name that a text is. */
export function nameOf(text: string): LockName {
  return lockNameOf(Buffer.from(text));
}

/** An id of its own for each number. */
export function idOf(n: number): TicketId {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32BE(n);
  return ticketIdFrom(bytes);
}

/** What most tickets of a test say of themselves. */
export const content: TicketContent = { ttlMs: 10_000, owner: "", resumable: true, ...exclusive };

/** A request for a lock. */
export function create(
  n: number,
  lock = "a",
  options: { readonly try?: boolean; readonly owner?: string; readonly share?: Share } = {},
): Command {
  const { try: isTry = false, owner = "", share = exclusive } = options;
  const own = { ...content, owner, ...share };
  return { kind: "create", name: nameOf(lock), id: idOf(n), content: own, attempt: 0, try: isTry };
}

/** A lock is given back. */
export function release(n: number, token: bigint, lock = "a"): Command {
  return { kind: "remove", name: nameOf(lock), id: idOf(n), token, cause: "released", memberId: "" };
}

/** What stands in the way of a lock that one ticket holds alone. */
export function stateOf(holderOwner: string, holderToken: bigint, waiters: number): LockState {
  const holders = [{ owner: holderOwner, token: holderToken, permits: 1, heldMs: 0, reserves: false }];
  return { holderOwner, holderToken, waiters, holders, holderCount: 1, permitsHeld: 1, limit: 1, position: 0 };
}

/** The token in a key. */
export function tokenOfKey(key: Uint8Array): bigint {
  return checkKey(key, defaultLimits.maxNameBytes).token;
}
