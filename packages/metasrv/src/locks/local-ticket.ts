import type { OpResult, Ticket, TicketId, TicketLog, LockName, StoredTicket } from "../log/ticket-log.js";
import type { ClaimListener, LossReason } from "./claim.js";
import type { Clock, Timer } from "./clock.js";
import { LockError, type LockState } from "./lock-errors.js";
import { encodeLockKey } from "./lock-key.js";
import type { TableTicket } from "./lock-table.js";

/** What a local ticket needs of the node that serves it. */
export interface LocalTicketHost {
  readonly log: TicketLog;
  readonly clock: Clock;
  readonly waiterGraceMs: number;
  /** Whether this node is surely a member now, and so may tell of a grant. */
  mayGrant(): boolean;
  /** Tells the ticket through `consider()` once {@link mayGrant} can be answered with yes again. */
  holdBack(local: LocalTicket): void;
  find(name: LockName, id: TicketId): TableTicket | undefined;
  state(name: LockName): LockState;
  /** Whether the table has come as far as the revision. */
  passed(revision: bigint): boolean;
  /** Whether this node still serves the ticket through this object. */
  serves(local: LocalTicket): boolean;
  /** This node does not serve the ticket any more. */
  forget(local: LocalTicket): void;
  /** Removes the ticket from the log, for as long as it takes, and then forgets it. */
  discard(local: LocalTicket): void;
  expired(local: LocalTicket): void;
}

/**
 * - `asking`: the log was asked to create or adopt the ticket; whether it did is not known yet
 * - `waiting`: the ticket is in the log, and the requester has not been told of a grant
 * - `held`: the requester was told, and the TTL runs
 * - `closed`: it is over; if the ticket is still in the log, it is being removed
 */
type Phase = "asking" | "waiting" | "held" | "closed";

/** Longest wait for which a timer is set, in milliseconds: about 24 days. */
const longestTimerMs = 2 ** 31 - 2;

/** One ticket that this node serves: from the request to the end of the hold. It runs the ticket's clock. */
export class LocalTicket {
  readonly name: LockName;
  readonly id: TicketId;
  /** What is, or is to be, in the log. */
  ticket: Ticket;
  /** Known once the log has the ticket. */
  createRevision: bigint | undefined = undefined;
  /** Revision of the last change known. */
  modRevision = 0n;
  /** Whether it counts as a waiter that the table has not shown yet. */
  counted = false;
  /** Settles with {@link ask}; never rejects. */
  asked: Promise<void> | undefined = undefined;
  readonly #host: LocalTicketHost;
  /** Whether another member served it before, who may have told of a grant. */
  #takenOver = false;
  /** Whether its requester wants it only if the lock is free. */
  #impatient = false;
  /** Why this node gave a hold up. */
  #endedBy: LockError | undefined;
  #phase: Phase = "asking";
  #listener: ClaimListener | undefined;
  #receivedAt: number;
  /** When the hold was granted or last renewed. */
  #heldSince = 0;
  #waitTimer: Timer | undefined;
  #graceTimer: Timer | undefined;
  #ttlTimer: Timer | undefined;
  /** Renewals on their way to the log, during which the TTL does not end. */
  #renewals = 0;
  #overdue = false;

  constructor(host: LocalTicketHost, name: LockName, id: TicketId, ticket: Ticket) {
    this.#host = host;
    this.name = name;
    this.id = id;
    this.ticket = ticket;
    this.#receivedAt = host.clock.now();
  }

  get held(): boolean {
    return this.#phase === "held";
  }

  get closed(): boolean {
    return this.#phase === "closed";
  }

  /** Makes the listener the one that is told. Another that still waits learns that it was superseded. */
  attach(listener: ClaimListener, waitMs: number | undefined): void {
    this.#listener?.failed(superseded());
    this.#graceTimer?.cancel();
    this.#waitTimer?.cancel();
    this.#listener = listener;
    this.#impatient = waitMs === 0;
    this.#receivedAt = this.#host.clock.now();
    if (waitMs !== undefined && waitMs > 0 && waitMs <= longestTimerMs) {
      this.#waitTimer = this.#host.clock.after(waitMs, () => {
        this.#timeOut(waitMs);
      });
    }
  }

  /** Puts the ticket into the log, or, where it is there already, makes it this node's. */
  async ask(): Promise<void> {
    try {
      let existing: StoredTicket | undefined;
      for (;;) {
        const { name, id, ticket } = this;
        const onlyIfFree = this.#impatient;
        const result: OpResult = await this.#host.log.append(
          existing === undefined
            ? { kind: "create", name, id, ticket, onlyIfFree }
            : { kind: "update", name, id, ticket, modRevision: existing.modRevision },
        );
        if (result.done) {
          this.#committed(existing?.createRevision ?? result.revision, result.revision);
          return;
        }
        if (onlyIfFree && existing === undefined && result.existing === undefined) {
          // Unless somebody has asked for the same ticket meanwhile, who would wait.
          if (this.#impatient || this.#phase !== "asking") {
            this.#leave((listener) => {
              listener.refused(this.#host.state(this.name));
            });
            return;
          }
          continue;
        }
        existing = result.existing;
        if (existing !== undefined && existing.ticket.memberId !== ticket.memberId) {
          if (this.#phase !== "asking" || this.#listener === undefined) {
            // Nobody is here to take it over from the member that serves it.
            this.#leave();
            return;
          }
          this.#takenOver = true;
        }
      }
    } catch (error) {
      this.#askFailed(asLockError(error));
    }
  }

  /**
   * The requester of a held ticket, who may not have heard of the grant, asks again: the hold starts anew and is told.
   *
   * @param wanted - whether the requester is still there, once the hold was renewed
   * @throws as {@link renew}
   */
  async reconfirm(listener: ClaimListener, wanted: () => boolean): Promise<void> {
    const receivedAt = this.#host.clock.now();
    await this.renew(this.ticket.ttlMs);
    if (!wanted()) {
      return;
    }
    this.#receivedAt = receivedAt;
    this.#listener = listener;
    this.#tell();
  }

  /**
   * Gives the hold a full TTL again.
   *
   * @throws LockError `not-held` when the ticket is gone or another member's; or what the log throws
   */
  async renew(ttlMs: number): Promise<void> {
    this.#renewals++;
    try {
      const ticket = this.ticket.ttlMs === ttlMs ? this.ticket : { ...this.ticket, ttlMs };
      const revision = await this.#update(ticket);
      if (revision === undefined || this.#phase !== "held") {
        throw this.#endedBy ?? notHeld();
      }
      this.ticket = ticket;
      this.#advance(revision);
      this.#startTtl();
    } finally {
      this.#renewals--;
      if (this.#overdue && this.#renewals === 0 && this.#phase === "held") {
        this.#expire();
      }
    }
  }

  /** Writes the held ticket anew; undefined if it is not held any more. */
  async #update(ticket: Ticket): Promise<bigint | undefined> {
    const { name, id } = this;
    let { modRevision } = this;
    for (;;) {
      const result = await this.#host.log.append({ kind: "update", name, id, ticket, modRevision });
      if (result.done) {
        return result.revision;
      }
      const { existing } = result;
      if (this.#phase !== "held" || existing === undefined || existing.createRevision !== this.createRevision) {
        return undefined;
      }
      // An earlier renewal, or another member, was faster; the key still holds.
      ({ modRevision } = existing);
    }
  }

  /** Makes the listener the one that is told of the end of the hold; another learns that the hold went elsewhere. */
  follow(listener: ClaimListener): void {
    this.#listener?.lost?.("moved");
    this.#listener = listener;
  }

  /** Starts the clock of a ticket that holds and was taken from another member. */
  adopted(ticket: Ticket, createRevision: bigint, modRevision: bigint): void {
    this.ticket = ticket;
    this.createRevision = createRevision;
    this.#advance(modRevision);
    this.#waitTimer?.cancel();
    this.#graceTimer?.cancel();
    if (this.#phase !== "held") {
      this.#listener?.failed(superseded());
      this.#listener = undefined;
    }
    this.#phase = "held";
    this.#startTtl();
  }

  /** It is in the log though nobody asks for it any more. */
  orphaned(entry: TableTicket): void {
    this.createRevision = entry.createRevision;
    this.#advance(entry.modRevision);
    this.#close();
    this.#host.discard(this);
  }

  /** It is in the log, and though nobody asks for it here, someone may have been told that it holds. */
  kept(entry: TableTicket): void {
    this.createRevision = entry.createRevision;
    this.#advance(entry.modRevision);
    this.#keep();
  }

  /** Leaves the ticket a full TTL. */
  #keep(): void {
    this.#phase = "waiting";
    this.#graceTimer?.cancel();
    this.#graceTimer = this.#host.clock.after(this.ticket.ttlMs, () => {
      this.#end();
    });
  }

  /** The table has this to say of the ticket. */
  consider(entry: TableTicket): void {
    if (entry.ticket.memberId !== this.ticket.memberId) {
      if (entry.modRevision > this.modRevision && this.#phase !== "asking") {
        this.#moved();
      }
      return;
    }
    // While the log is asked, the table may still show an earlier ticket of the same id; the answer tells which is ours.
    if (this.#phase === "closed" || this.#phase === "asking" || this.createRevision !== entry.createRevision) {
      return;
    }
    this.#advance(entry.modRevision);
    if (!entry.holds && this.#impatient) {
      queueMicrotask(() => {
        this.#refuse(entry);
      });
    }
    if (!entry.holds || this.#phase === "held" || this.#listener === undefined) {
      return;
    }
    if (!this.#host.mayGrant()) {
      this.#host.holdBack(this);
      return;
    }
    this.#phase = "held";
    this.#startTtl();
    this.#tell();
  }

  #refuse(entry: TableTicket): void {
    if (this.#phase === "waiting" && this.#impatient && !entry.holds && this.#listener !== undefined) {
      const listener = this.#listener;
      this.#end();
      listener.refused(this.#host.state(this.name));
    }
  }

  /** The table has lost the ticket. */
  removed(createRevision: bigint): void {
    if (this.createRevision !== createRevision) {
      return;
    }
    if (this.#phase === "held") {
      this.released();
    } else if (this.#phase !== "closed") {
      this.fail(
        new LockError("canceled", "the request was removed from the store by someone else; ask again if it is needed"),
      );
    }
  }

  /** The ticket was removed from the log with its key. */
  released(): void {
    this.#lose("released");
  }

  /** Ends a wait with an error, and removes the ticket. A hold is left alone. */
  fail(error: LockError): void {
    if (this.#phase !== "held") {
      const listener = this.#listener;
      this.#end();
      listener?.failed(error);
    }
  }

  /** Ends a wait with an error, and leaves the ticket, held or not, to the members that there are then. */
  abandon(error: LockError): void {
    this.#endedBy = error;
    if (this.held) {
      this.#lose("moved");
      return;
    }
    this.#leave((listener) => {
      listener.failed(error);
    });
  }

  /** See {@link Claim.cancel}. */
  cancel(listener: ClaimListener): void {
    if (this.#listener === listener) {
      this.#listener = undefined;
      if (this.#phase !== "held") {
        this.#end();
      }
    }
  }

  /** See {@link Claim.detach}. */
  detach(listener: ClaimListener): void {
    if (this.#listener !== listener) {
      return;
    }
    if (!this.ticket.resumable) {
      this.cancel(listener);
      return;
    }
    this.#listener = undefined;
    this.#waitTimer?.cancel();
    if (this.#phase !== "held") {
      this.#graceTimer = this.#host.clock.after(this.#host.waiterGraceMs, () => {
        this.#end();
      });
    }
  }

  /** It is not known whether the log has the ticket. */
  #askFailed(error: LockError): void {
    const entry = this.#host.find(this.name, this.id);
    if (entry?.ticket.memberId !== this.ticket.memberId) {
      // If it turns up after all, nobody waits for it, and the node removes it.
      this.#leave((listener) => {
        listener.failed(error);
      });
      return;
    }
    const listener = this.#listener;
    this.createRevision = entry.createRevision;
    this.#advance(entry.modRevision);
    this.#close();
    this.#remove();
    listener?.failed(error);
  }

  /** Ends a request, and leaves the log as it is. */
  #leave(tell?: (listener: ClaimListener) => void): void {
    const listener = this.#listener;
    this.#close();
    this.#host.forget(this);
    if (listener !== undefined) {
      tell?.(listener);
    }
  }

  #committed(createRevision: bigint, modRevision: bigint): void {
    this.createRevision = createRevision;
    this.#advance(modRevision);
    if (this.#phase === "closed") {
      this.#remove();
    } else if (this.#phase === "asking") {
      this.#phase = "waiting";
      const entry = this.#host.find(this.name, this.id);
      if (entry?.createRevision === createRevision) {
        this.consider(entry);
      } else if (this.#host.passed(modRevision)) {
        this.removed(createRevision);
      }
    }
  }

  #advance(modRevision: bigint): void {
    if (modRevision > this.modRevision) {
      this.modRevision = modRevision;
    }
  }

  #tell(): void {
    const { name, id, createRevision, ticket } = this;
    if (createRevision === undefined) {
      return;
    }
    this.#waitTimer?.cancel();
    const listener = this.#listener;
    if (listener?.lost === undefined) {
      this.#listener = undefined;
    }
    listener?.granted({
      key: encodeLockKey({ name, id, token: createRevision }),
      token: createRevision,
      ttlMs: ticket.ttlMs,
      waitedMs: this.#heldSince - this.#receivedAt,
    });
  }

  #startTtl(): void {
    this.#overdue = false;
    this.#heldSince = this.#host.clock.now();
    this.#ttlTimer?.cancel();
    this.#ttlTimer = this.#host.clock.after(this.ticket.ttlMs, () => {
      if (this.#renewals > 0) {
        this.#overdue = true;
      } else {
        this.#expire();
      }
    });
  }

  #expire(): void {
    this.#host.expired(this);
    this.#lose("expired");
  }

  #lose(reason: LossReason): void {
    const listener = this.#listener;
    this.#close();
    if (reason === "expired") {
      this.#host.discard(this);
    } else {
      this.#host.forget(this);
    }
    listener?.lost?.(reason);
  }

  /** Another member serves the ticket now. */
  #moved(): void {
    if (this.#phase === "held") {
      this.#lose("moved");
    } else if (this.#phase === "waiting") {
      this.abandon(superseded());
    }
  }

  #timeOut(waitMs: number): void {
    const state = this.#host.state(this.name);
    const owner = state.holderOwner === "" ? "someone who gave no owner text" : JSON.stringify(state.holderOwner);
    const why =
      state.holderToken === 0n
        ? "the store has not answered yet"
        : `it is held by ${owner} (fencing token ${state.holderToken}), and ${state.waiters} wait for it, this request included`;
    this.fail(
      new LockError(
        "wait-timed-out",
        `the lock was not granted within ${waitMs} ms: ${why}; wait longer, or look at what the holder does`,
        { state },
      ),
    );
  }

  /** Ends a request that holds nothing. While the log is still asked, its answer says what there is to remove. */
  #end(): void {
    const waiting = this.#phase === "waiting";
    this.#close();
    if (waiting) {
      this.#remove();
    }
  }

  /** Removes what nobody wants any more, but not while another member's requester may believe that it holds. */
  #remove(): void {
    const entry = this.#host.find(this.name, this.id);
    const waits =
      entry !== undefined &&
      entry.createRevision === this.createRevision &&
      entry.modRevision >= this.modRevision &&
      !entry.holds;
    if (this.#takenOver && !waits && this.#host.serves(this)) {
      this.#takenOver = false;
      this.#keep();
    } else {
      this.#host.discard(this);
    }
  }

  #close(): void {
    this.#phase = "closed";
    this.#listener = undefined;
    this.#waitTimer?.cancel();
    this.#graceTimer?.cancel();
    this.#ttlTimer?.cancel();
  }
}

/** The error itself, if it is one that requesters can be told. */
export function asLockError(error: unknown): LockError {
  return error instanceof LockError
    ? error
    : new LockError("store-unavailable", "the store failed in an unexpected way; try again", { cause: error });
}

/** The key does not hold any more. */
export function notHeld(): LockError {
  return new LockError(
    "not-held",
    "the key does not hold its lock: it was released before, or its TTL has passed; ask for the lock again",
  );
}

function superseded(): LockError {
  return new LockError(
    "superseded",
    "the same ticket id was asked for again, and that request is the one that is answered; use a new ticket id for a " +
      "new request",
  );
}
