import type { LockName, OpResult, StoredTicket, Ticket, TicketId } from "../log/ticket-log.js";
import type { ClaimListener, LossReason } from "./claim.js";
import { HoldClock } from "./hold-clock.js";
import type { LocalTicketHost } from "./local-ticket-host.js";
import { asLockError, type LockError, notHeld, removedByOthers, superseded, waitTimedOut } from "./lock-errors.js";
import type { TableTicket } from "./lock-table.js";
import { Requester } from "./requester.js";

/**
 * - `asking`: the log was asked to create or adopt the ticket; whether it did is not known yet
 * - `waiting`: the ticket is in the log, and the requester has not been told of a grant
 * - `held`: the requester was told, and the TTL runs
 * - `closed`: it is over; if the ticket is still in the log, it is being removed
 */
type Phase = "asking" | "waiting" | "held" | "closed";

/**
 * One ticket that this node serves, from the request to the end of the hold: a state machine moved by the requester, the
 * answers of the log, the table, and the clock.
 */
export class LocalTicket {
  readonly name: LockName;
  readonly id: TicketId;
  /** What is, or is to be, in the log. */
  ticket: Ticket;
  /** Known once the log has the ticket; tells it from an earlier or later ticket of the same id. */
  createRevision: bigint | undefined = undefined;
  /** Revision of the last change known: only what the log has not changed since is ours to replace or remove. */
  modRevision = 0n;
  /** Whether it counts as a waiter that the table has not shown yet. */
  counted = false;
  /** Settles with {@link ask}; never rejects. */
  asked: Promise<void> | undefined = undefined;
  /** How often the ticket was asked for again. */
  #asks = 0;
  readonly #host: LocalTicketHost;
  readonly #requester: Requester;
  /** Made at the first grant, as most tickets of a busy lock only wait. */
  #hold: HoldClock | undefined;
  #phase: Phase = "asking";
  /** Whether another member served it before, who may have told of a grant. */
  #takenOver = false;
  /** Why this node gave a hold up: the answer to renewals that were on their way then. */
  #endedBy: LockError | undefined;

  constructor(host: LocalTicketHost, name: LockName, id: TicketId, ticket: Ticket) {
    this.#host = host;
    this.name = name;
    this.id = id;
    this.ticket = ticket;
    this.#requester = new Requester(host.clock);
  }

  get held(): boolean {
    return this.#phase === "held";
  }

  get closed(): boolean {
    return this.#phase === "closed";
  }

  // What the requester wants.

  /** Makes the listener the one that is told. Another that still waits learns that it was superseded. */
  attach(listener: ClaimListener, waitMs: number | undefined): void {
    this.#requester.await(listener, waitMs, (allowedMs) => {
      this.fail(waitTimedOut(allowedMs, this.#host.state(this.name)));
    });
  }

  /** Makes the listener the one that is told of the end of the hold; another learns that the hold went elsewhere. */
  follow(listener: ClaimListener): void {
    this.#requester.follow(listener);
  }

  /**
   * The requester of a held ticket, who may not have heard of the grant, asks again: the hold starts anew and is told.
   *
   * @param attempt - of the request
   * @param wanted - whether the requester is still there, once the hold was renewed
   * @throws as {@link renew}
   */
  async reconfirm(listener: ClaimListener, attempt: number, wanted: () => boolean): Promise<void> {
    const receivedAt = this.#host.clock.now();
    await this.#renew({ ...this.ticket, attempt });
    if (!wanted()) {
      return;
    }
    this.#requester.hear(listener, receivedAt);
    this.#tell();
  }

  /** See {@link Claim.cancel}. */
  cancel(listener: ClaimListener): void {
    if (this.#requester.is(listener)) {
      this.#requester.leave();
      if (this.#phase !== "held") {
        this.#end();
      }
    }
  }

  /** See {@link Claim.detach}. */
  detach(listener: ClaimListener): void {
    if (!this.#requester.is(listener)) {
      return;
    }
    if (!this.ticket.resumable) {
      this.cancel(listener);
      return;
    }
    this.#requester.leave();
    if (this.#phase !== "held") {
      this.#requester.startGrace(this.#host.waiterGraceMs, () => {
        this.#end();
      });
    }
  }

  // What the log answers.

  /** Asked for again: meanwhile another member may have served it, so the log must show that it is still this node's. */
  askAgain(attempt: number): void {
    this.#asks++;
    this.ticket = { ...this.ticket, attempt };
    if (this.#phase === "waiting") {
      this.#phase = "asking";
      void this.ask();
    }
  }

  /** Puts the ticket into the log, or, where it is there already, makes it this node's. */
  async ask(): Promise<void> {
    try {
      const { createRevision, modRevision } = this;
      let existing: Pick<StoredTicket, "createRevision" | "modRevision"> | undefined =
        createRevision === undefined ? undefined : { createRevision, modRevision };
      for (;;) {
        const asks = this.#asks;
        const { name, id, ticket } = this;
        const onlyIfFree = this.#requester.isImpatient();
        const result: OpResult = await this.#host.log.append(
          existing === undefined
            ? {
                kind: "create",
                name,
                id,
                ticket,
                onlyIfFree,
                willWait: !onlyIfFree && this.#host.waiters(name) > 0,
                wanted: () => this.#phase !== "closed",
              }
            : {
                kind: "update",
                name,
                id,
                ticket,
                createRevision: existing.createRevision,
                modRevision: existing.modRevision,
              },
        );
        if (result.done) {
          const created: bigint = existing?.createRevision ?? result.revision;
          if (asks !== this.#asks && this.#phase === "asking") {
            // Asked for again meanwhile: the log must show it anew.
            existing = { createRevision: created, modRevision: result.revision };
            continue;
          }
          this.#committed(created, result.revision);
          return;
        }
        if (this.#phase === "closed" && result.existing === undefined) {
          // There is nothing to remove.
          this.#host.forget(this);
          return;
        }
        if (onlyIfFree && existing === undefined && result.existing === undefined) {
          // Unless somebody has asked for the same ticket meanwhile, who would wait.
          if (this.#requester.isImpatient()) {
            this.#leave()?.refused(this.#host.state(this.name));
            return;
          }
          continue;
        }
        existing = result.existing;
        if (result.existing !== undefined && result.existing.ticket.memberId !== ticket.memberId) {
          if (this.#phase !== "asking" || !this.#requester.present) {
            // Nobody is here to take it over from the member that serves it.
            this.#leave();
            return;
          }
          if (result.existing.ticket.attempt > ticket.attempt) {
            // This request was on its way for long: its requester waits there, and could not be told from here.
            this.#leave()?.failed(superseded());
            return;
          }
          this.#takenOver = true;
        }
      }
    } catch (error) {
      this.#askFailed(asLockError(error));
    }
  }

  #committed(createRevision: bigint, modRevision: bigint): void {
    this.#know(createRevision, modRevision);
    if (this.#phase === "closed") {
      this.#remove();
    } else if (this.#phase === "asking") {
      this.#phase = "waiting";
      const entry = this.#host.find(this.name, this.id);
      if (entry?.createRevision === createRevision) {
        this.consider(entry);
      } else if (this.#host.passed(modRevision)) {
        // The table has shown it and lost it again before this answer came.
        this.removed(createRevision);
      }
    }
  }

  /** It is not known whether the log has the ticket. */
  #askFailed(error: LockError): void {
    if (error.reason === "not-a-member") {
      // The log knows it before this node does; what it has of the ticket is left to the members that there are.
      this.abandon(error);
      return;
    }
    const entry = this.#host.find(this.name, this.id);
    if (entry?.ticket.memberId !== this.ticket.memberId) {
      // If it turns up after all, nobody waits for it, and the node removes it.
      this.#leave()?.failed(error);
      return;
    }
    this.#know(entry.createRevision, entry.modRevision);
    const listener = this.#close();
    this.#remove();
    listener?.failed(error);
  }

  /**
   * Gives the hold a full TTL again.
   *
   * @throws LockError `not-held` when the ticket is gone or another member's; or what the log throws
   */
  async renew(ttlMs: number): Promise<void> {
    await this.#renew(this.ticket.ttlMs === ttlMs ? this.ticket : { ...this.ticket, ttlMs });
  }

  async #renew(ticket: Ticket): Promise<void> {
    const hold = this.#hold;
    hold?.renewing();
    try {
      const revision = await this.#update(ticket);
      if (revision === undefined || this.#phase !== "held") {
        throw this.#endedBy ?? notHeld();
      }
      this.ticket = ticket;
      this.#advance(revision);
      this.#startTtl();
    } finally {
      hold?.renewed();
    }
  }

  /** Writes the held ticket anew; undefined if it is not held any more. */
  async #update(ticket: Ticket): Promise<bigint | undefined> {
    const { name, id, createRevision } = this;
    let { modRevision } = this;
    for (;;) {
      if (createRevision === undefined) {
        return undefined;
      }
      const result = await this.#host.log.append({ kind: "update", name, id, ticket, createRevision, modRevision });
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

  /** Starts the clock of a ticket that holds and was taken from another member. */
  adopted(ticket: Ticket, createRevision: bigint, modRevision: bigint): void {
    this.ticket = ticket;
    this.#know(createRevision, modRevision);
    if (this.#phase === "held") {
      this.#requester.stopTimers();
    } else {
      // The key was renewed, so the grant was told before: nobody is to be told of it once more.
      this.#requester.supersede();
    }
    this.#phase = "held";
    this.#startTtl();
  }

  // What the table shows.

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
    if (entry.modRevision < this.modRevision) {
      // The log is ahead of the table: another member may have had the ticket in between.
      return;
    }
    this.#advance(entry.modRevision);
    if (!entry.holds && this.#requester.isImpatient()) {
      // The table tells of a new ticket before it settles who holds: it may hold in a moment.
      queueMicrotask(() => {
        this.#refuse(entry);
      });
    }
    if (!entry.holds || this.#phase === "held" || !this.#requester.present) {
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

  /** The table has lost the ticket. */
  removed(createRevision: bigint): void {
    if (this.createRevision !== createRevision) {
      return;
    }
    if (this.#phase === "held") {
      this.#lose("released");
    } else if (this.#phase !== "closed") {
      this.fail(removedByOthers());
    }
  }

  /** It is in the log though nobody asks for it any more. */
  orphaned(entry: TableTicket): void {
    this.#know(entry.createRevision, entry.modRevision);
    this.#close();
    this.#host.discard(this);
  }

  /** It is in the log, and though nobody asks for it here, someone may have been told that it holds. */
  kept(entry: TableTicket): void {
    this.#know(entry.createRevision, entry.modRevision);
    this.#keep();
  }

  // How it goes on, and ends.

  /** Ends a wait with an error, and removes the ticket. A hold is left alone. */
  fail(error: LockError): void {
    if (this.#phase !== "held") {
      this.#end()?.failed(error);
    }
  }

  /** Ends a wait with an error, and leaves the ticket, held or not, to the members that there are then. */
  abandon(error: LockError): void {
    this.#endedBy = error;
    if (this.held) {
      this.#lose("moved");
    } else {
      this.#leave()?.failed(error);
    }
  }

  /** Ends a wait that was to be no wait. */
  #refuse(entry: TableTicket): void {
    if (this.#phase === "waiting" && this.#requester.isImpatient() && !entry.holds && this.#requester.present) {
      this.#end()?.refused(this.#host.state(this.name));
    }
  }

  /** Another member serves the ticket now. */
  #moved(): void {
    if (this.#phase === "held") {
      this.#lose("moved");
    } else if (this.#phase === "waiting") {
      this.abandon(superseded());
    }
  }

  /** Leaves the ticket a full TTL, unless its requester comes here before. */
  #keep(): void {
    this.#phase = "waiting";
    this.#requester.startGrace(this.ticket.ttlMs, () => {
      this.#end();
    });
  }

  #tell(): void {
    const { name, id, createRevision, ticket } = this;
    if (createRevision !== undefined && this.#hold !== undefined) {
      this.#requester.granted({ name, id, token: createRevision }, ticket.ttlMs, this.#hold.since);
    }
  }

  #startTtl(): void {
    this.#hold ??= new HoldClock(this.#host.clock, () => {
      this.#host.expired(this);
      this.#lose("expired");
    });
    this.#hold.start(this.ticket.ttlMs);
  }

  /** Ends a hold. Only one that expired is ours to remove; any other is gone from the log, or left to another member. */
  #lose(reason: LossReason): void {
    const listener = this.#close();
    if (reason === "expired") {
      this.#host.discard(this);
    } else {
      this.#host.forget(this);
    }
    listener?.lost?.(reason);
  }

  /** Ends a request, and leaves the log as it is. */
  #leave(): ClaimListener | undefined {
    const listener = this.#close();
    this.#host.forget(this);
    return listener;
  }

  /** Ends a request that holds nothing. While the log is still asked, its answer says what there is to remove. */
  #end(): ClaimListener | undefined {
    const waiting = this.#phase === "waiting";
    const listener = this.#close();
    if (waiting) {
      this.#remove();
    }
    return listener;
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
      // Once is enough: within a full TTL that requester has renewed its key, or lost it.
      this.#takenOver = false;
      this.#keep();
    } else {
      this.#host.discard(this);
    }
  }

  /** Stops all that runs, and answers whom the end is to be told. */
  #close(): ClaimListener | undefined {
    this.#phase = "closed";
    this.#hold?.stop();
    return this.#requester.close();
  }

  #know(createRevision: bigint, modRevision: bigint): void {
    this.createRevision = createRevision;
    this.#advance(modRevision);
  }

  /** Answers and events come in any order: what is known never goes back. */
  #advance(modRevision: bigint): void {
    if (modRevision > this.modRevision) {
      this.modRevision = modRevision;
    }
  }
}
