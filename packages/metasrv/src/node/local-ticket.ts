import type { Ticket, TicketFollower } from "../fold/queue.js";
import type { CommandWaiter, Urgency } from "../log/command-log.js";
import type { Command, ForcedRecord, Outcome, RemoveCause } from "../model/command.js";
import {
  type ForcedBy,
  type LockError,
  type LockState,
  notHeld,
  removedByForce,
  removedByOthers,
  superseded,
  waitTimedOut,
} from "../model/lock-errors.js";
import { noLimit, type TicketContent } from "../model/ticket-content.js";
import { encodeLockKey, type LockKey, type LockName, type TicketId, type TicketRef } from "../model/ticket-ref.js";
import { Alarm } from "./alarms.js";
import type { Claim, ClaimListener, LossReason, Renewal, TicketAccount } from "./claim.js";
import type { HoldEnd, LockMeter } from "./node-observer.js";
import type { ServedTicket, TicketHost } from "./ticket-host.js";
import { next, type TicketEffect, type TicketEvent, type TicketState } from "./ticket-state.js";

/** A request for a ticket. */
export interface TicketRequest extends TicketRef {
  readonly content: TicketContent;
  readonly attempt: number;
  /** In milliseconds; 0: only if it holds at once; absent: without end. */
  readonly waitMs: number | undefined;
  readonly account?: TicketAccount | undefined;
  /** The W3C traceparent of the requester's span. */
  readonly traceparent?: string | undefined;
}

/** Longest wait for which an alarm is set, in milliseconds: about 24 days. */
const longestWaitMs = 2 ** 31 - 2;

/** Time between two attempts to remove a ticket that the log did not take, in milliseconds. */
const removeRetryMs = 1_000;

/**
 * One ticket that this node serves, from the request to the end of the hold. It does what {@link next} says, and keeps
 * the listener and the times that this needs. Once the ticket is created, it follows the ticket in the table.
 */
export class LocalTicket extends Alarm implements TicketFollower, ServedTicket {
  readonly name: LockName;
  readonly id: TicketId;
  state: TicketState = "asking";
  /** The attempt number of the last request. */
  attempt = 0;
  /** Whether it counts as a waiter that the table does not show yet. */
  counted = false;
  /** In the table, once a create command took effect. */
  ticket: Ticket | undefined = undefined;
  /** What it counts for, as long as this node serves it. */
  account: TicketAccount | undefined = undefined;
  readonly #host: TicketHost;
  readonly #meter: LockMeter | undefined;
  #content: TicketContent;
  #waitMs: number | undefined;
  /** Absent when the requester has gone, or when it was told of a grant and cannot be told of a loss. */
  #listener: ClaimListener | undefined = undefined;
  /** When the listener asked. The grant tells how long it has waited since then. */
  #receivedAtMs = 0;
  /** How many create commands were sent. Only the outcome of the last one counts. */
  #asks = 0;
  /** Whether the ticket held already when it came from another member, which may have told of the grant. */
  #moved = false;
  /** Whether the alarm ends a wait, and not the grace or the TTL. */
  #waits = false;
  /**
   * How many commands are on their way that may give the ticket a full TTL. The TTL cannot end it before their outcomes
   * are known.
   */
  #renewals = 0;
  /** Whether the TTL has passed while such a command was on its way. */
  #late = false;
  /** The traceparents of its requester and of the one that gave way to it; absent without the first. */
  #trace: { readonly own: string; unblockedBy: string | undefined } | undefined = undefined;

  constructor(host: TicketHost, { name, id, content, attempt }: TicketRequest) {
    super();
    this.#host = host;
    this.#meter = host.meterOf(name);
    this.name = name;
    this.id = id;
    this.#content = content;
    this.attempt = attempt;
  }

  // What the requester wants.

  /**
   * From now on, this listener is told, and the ticket waits so long for it. A listener that still waits learns that it
   * was superseded.
   */
  attach(listener: ClaimListener, waitMs: number | undefined): void {
    this.#supersede();
    this.#listener = listener;
    this.#receivedAtMs = this.#host.now();
    this.#waitMs = waitMs;
    this.#waits = true;
    if (waitMs !== undefined && waitMs > 0 && waitMs <= longestWaitMs) {
      this.#host.setAlarm(this, waitMs);
    } else {
      this.#host.cancelAlarm(this);
    }
  }

  /** What it asks for. */
  get content(): TicketContent {
    return this.#content;
  }

  /** Sends a create command for the attached listener, for the first time or again. */
  ask(request: TicketRequest): void {
    this.#content = request.content;
    this.attempt = request.attempt;
    if (request.traceparent !== undefined) {
      this.#trace = { own: request.traceparent, unblockedBy: undefined };
    }
    if (this.#asks === 0 && this.state === "asking") {
      this.#do("create", undefined);
    } else {
      this.dispatch("askAgain");
    }
  }

  /** Whether this is the listener that is told. A superseded listener must not end the wait of the current one. */
  tells(listener: ClaimListener): boolean {
    return this.#listener === listener;
  }

  /**
   * From now on, this listener is told of the end of the hold. The listener before learns that the hold went elsewhere.
   */
  follow(listener: ClaimListener): void {
    this.#listener?.lost?.("moved");
    this.#listener = listener;
  }

  /** See {@link Claim.cancel}. */
  cancel(listener: ClaimListener): void {
    if (this.#listener === listener) {
      this.dispatch(this.#moved ? "cancelMoved" : "cancel");
    }
  }

  /** See {@link Claim.detach}. */
  detach(listener: ClaimListener): void {
    if (this.#listener !== listener) {
      return;
    }
    if (this.#content.resumable) {
      this.dispatch(this.#moved ? "detachMoved" : "detach");
    } else {
      this.cancel(listener);
    }
  }

  /** Ends a wait with an error. The ticket is removed too, unless another member may have told of a grant. */
  giveUp(error: LockError): void {
    this.dispatch(this.#moved ? "giveUpMoved" : "giveUp", error);
  }

  /** Whether its requester can ask for the same ticket at another member. */
  get resumable(): boolean {
    return this.#content.resumable;
  }

  /** When its hold ends unless it is renewed, by the node's clock; undefined while it does not hold for sure. */
  get expiresAtMs(): number | undefined {
    return this.state === "held" ? this.ringsAtMs : undefined;
  }

  /**
   * The key with which its requester proves that it holds the lock.
   *
   * @throws LockError `not-held` when the ticket is not in the table
   */
  key(): LockKey {
    const { name, id, ticket } = this;
    if (ticket === undefined) {
      throw notHeld();
    }
    return { name, id, token: ticket.token };
  }

  // What happens to its hold.

  /** A command is on its way that may give it a full TTL; {@link renewalEnded} follows. */
  renewing(): void {
    this.#renewals++;
  }

  /** @param renewed - whether the ticket has a full TTL from now on */
  renewalEnded(renewed: boolean): void {
    this.#renewals--;
    if (renewed) {
      this.dispatch("renewed");
    }
    if (this.#late && this.#renewals === 0) {
      this.#late = false;
      this.dispatch("timeOver");
    }
  }

  /** Tells another listener of the hold, after a command has given the ticket a full TTL. */
  reconfirm(listener: ClaimListener, attempt: number, receivedAtMs: number): void {
    this.attempt = attempt;
    this.#listener = listener;
    this.#receivedAtMs = receivedAtMs;
    this.#tellGranted();
  }

  override ring(): void {
    if (this.#waits) {
      this.giveUp(waitTimedOut(this.#waitMs ?? 0, this.#obstacle()));
    } else if (this.#renewals > 0) {
      this.#late = true;
    } else {
      this.dispatch("timeOver");
    }
  }

  // What became of its create command.

  /** From now on, it follows this ticket of the table. */
  followTicket(ticket: Ticket): void {
    if (this.ticket?.follower === this) {
      // What is still to be told of the ticket before means nothing to this one.
      this.ticket.follower = undefined;
    }
    this.ticket = ticket;
    ticket.follower = this;
    this.#host.shown(this);
  }

  /** @param ask - the number of the create command that this is the outcome of */
  asked(ask: number, outcome: Outcome): void {
    const isLast = ask === this.#asks && this.state !== "gone";
    if (outcome.kind === "holds" || outcome.kind === "waits") {
      const ticket = this.#host.fold.get(this);
      const serves = ticket?.token === outcome.token && this.#host.isMember(ticket.memberId);
      if (isLast && serves) {
        this.followTicket(ticket);
        this.#moved = outcome.moved && outcome.kind === "holds";
        this.dispatch(this.#host.fold.isOutdated(ticket.token) ? "outdated" : this.#standsThere(ticket));
        if (!ticket.holds && ticket.content.extras !== undefined && ticket.content.extras.within.length > 0) {
          this.#host.nested(ticket);
        }
      } else if (isLast && ticket?.token === outcome.token) {
        this.dispatch("superseded");
      } else if (isLast) {
        const forced = this.#host.fold.forced.get(outcome.token);
        this.dispatch("removedAtOnce", forced && removedByForce(forced));
      } else if (serves && ticket.follower === undefined) {
        if (this.state === "gone") {
          this.#host.orphaned(ticket, outcome);
        } else {
          // The ticket was asked for again meanwhile. The outcome of that request decides.
          this.followTicket(ticket);
        }
      }
    } else if (isLast) {
      this.dispatch(outcome.kind === "refused" ? "refused" : "superseded");
    }
  }

  #standsThere({ holds }: Ticket): TicketEvent {
    if (!holds) {
      return "waits";
    }
    return this.#moved ? "holdsMoved" : "holds";
  }

  /** A create command will have no effect, or its outcome is not known in time. */
  askFailed(ask: number, event: "failed" | "overdue", error: LockError): void {
    if (ask === this.#asks) {
      const isThere = event === "failed" && this.ticket?.present === true;
      this.dispatch(isThere ? "failedThere" : event, error);
    }
  }

  // What the table shows.

  granted(by?: TicketFollower): void {
    if (this.#trace !== undefined && by instanceof LocalTicket) {
      this.#trace.unblockedBy = by.#trace?.own;
    }
    // Otherwise it has gone since, by force or with a later entry of several. That is told next, and nothing else.
    if (this.ticket?.present === true) {
      this.dispatch("granted");
    }
  }

  removed(forced: ForcedRecord | undefined): void {
    this.dispatch("removed", forced === undefined ? undefined : removedByForce(forced));
  }

  moved(): void {
    // The ticket may have come back to this node since then, when several entries were folded at once.
    if (this.ticket === undefined || !this.#host.isMember(this.ticket.memberId)) {
      this.dispatch("moved");
    }
  }

  replaced(ticket: Ticket): void {
    this.ticket = ticket;
  }

  #obstacle(): LockState {
    return this.#host.fold.obstacle(this.name, this.#content, this.ticket);
  }

  /** Makes the transition that an event leads to. @param error - why, if the requester is to be told */
  dispatch(event: TicketEvent, error?: LockError): void {
    const before = this.state;
    const transition = next(before, event);
    if (transition !== undefined) {
      this.state = transition.to;
      if (this.#meter !== undefined && isTold(before) && !isTold(transition.to)) {
        this.#meterHold(this.#meter, event, error);
      }
      for (const effect of transition.effects) {
        this.#do(effect, error);
      }
    }
  }

  #do(effect: TicketEffect, error: LockError | undefined): void {
    const host = this.#host;
    switch (effect) {
      case "create":
        this.#create();
        break;
      case "remove":
        this.#remove("cancelled");
        break;
      case "expire":
        this.#remove("expired");
        break;
      case "removeLater":
        this.#setTime(removeRetryMs);
        break;
      case "announce":
        if (host.mayGrant()) {
          this.dispatch("sure");
        } else {
          host.holdBack(this);
        }
        break;
      case "startTtl":
      case "startKeep":
        this.#setTime(this.ticket?.content.ttlMs ?? this.#content.ttlMs);
        break;
      case "startGrace":
        this.#setTime(host.waiterGraceMs);
        break;
      case "tellGranted":
        this.#meter?.granted(this.ticket?.content ?? this.#content, this.#waitedMs());
        this.#tellGranted();
        break;
      case "tellRefused":
        this.#meter?.ended("refused");
        this.#takeListener()?.refused(this.#obstacle());
        break;
      case "tellSuperseded":
        this.#supersede();
        break;
      case "tellRemoved":
        this.#meter?.ended("failed");
        this.#takeListener()?.failed(error ?? removedByOthers());
        break;
      case "tellFailed":
        if (error !== undefined) {
          this.#meter?.ended(error.reason === "wait-timed-out" ? "timed_out" : "failed");
          this.#takeListener()?.failed(error);
        }
        break;
      case "tellReleased":
        this.#tellLost(error?.forced === undefined ? "released" : "forced", error?.forced);
        break;
      case "tellExpired":
        host.expired(this);
        this.#tellLost("expired");
        break;
      case "tellMoved":
        this.#tellLost("moved");
        break;
      case "leave":
        if (!isTold(this.state)) {
          this.#meter?.ended("cancelled");
        }
        this.#listener = undefined;
        break;
      case "forget":
        this.#forget();
    }
  }

  #create(): void {
    const { name, id, attempt } = this;
    const host = this.#host;
    if (this.ticket?.present === false) {
      this.ticket.follower = undefined;
      this.ticket = undefined;
    }
    const impatient = this.#waitMs === 0;
    const urgency: Urgency = impatient || host.fold.admits(name, this.#content) ? "soon" : "later";
    const command = { kind: "create", name, id, content: this.#content, attempt, try: impatient } as const;
    host.append(command, new Ask(this, ++this.#asks), urgency);
  }

  #remove(cause: RemoveCause): void {
    const { name, id, ticket } = this;
    if (ticket !== undefined) {
      const urgency: Urgency = ticket.holds && this.#host.fold.waiters(name) > 0 ? "now" : "soon";
      const command: Command = { kind: "remove", name, id, token: ticket.token, cause, memberId: "" };
      this.#host.append(command, new Removal(this), urgency);
    }
  }

  /** Sets the time after which `timeOver` happens, unless something else happens before. */
  #setTime(delayMs: number): void {
    this.#waits = false;
    this.#late = false;
    this.#host.setAlarm(this, delayMs);
  }

  #tellGranted(): void {
    const { name, id, ticket } = this;
    if (ticket === undefined) {
      return;
    }
    const { token, content } = ticket;
    const listener = this.#listener;
    if (listener?.lost === undefined) {
      // This listener cannot be told of a loss, so nothing has to be kept of it.
      this.#listener = undefined;
    }
    const { fold } = this.#host;
    const { floor, limit } = fold.sharing(name);
    if (limit < content.limit && content.limit !== noLimit) {
      this.#meter?.limitMismatch();
    }
    const parts = ticket.group?.parts.map((part) => fold.sharing(part.name)) ?? none;
    listener?.granted({
      key: encodeLockKey({ name, id, token }),
      token,
      ttlMs: content.ttlMs,
      waitedMs: this.#waitedMs(),
      floor,
      limit,
      parts,
      unblockedBy: this.#trace?.unblockedBy,
    });
  }

  /** Time from the request to the beginning of the TTL, in milliseconds. */
  #waitedMs(): number {
    return this.ringsAtMs - (this.ticket?.content ?? this.#content).ttlMs - this.#receivedAtMs;
  }

  #meterHold(meter: LockMeter, event: TicketEvent, error: LockError | undefined): void {
    const { ticket } = this;
    if (ticket !== undefined) {
      meter.holdEnded(ticket.content, holdEnd(event, error), this.#host.now() - ticket.heldAtMs);
    }
  }

  #tellLost(reason: LossReason, forced?: ForcedBy): void {
    this.#takeListener()?.lost?.(reason, forced);
  }

  #supersede(): void {
    this.#takeListener()?.failed(superseded());
  }

  #takeListener(): ClaimListener | undefined {
    const listener = this.#listener;
    this.#listener = undefined;
    return listener;
  }

  #forget(): void {
    if (this.ticket?.follower === this) {
      this.ticket.follower = undefined;
    }
    this.#host.cancelAlarm(this);
    this.#host.forget(this);
  }
}

const none: readonly never[] = [];

/** Whether the requester was told of the grant, and of no end of it. */
function isTold(state: TicketState): boolean {
  return state === "held" || state === "releasing";
}

function holdEnd(event: TicketEvent, error: LockError | undefined): HoldEnd {
  switch (event) {
    case "timeOver":
      return "expired";
    case "moved":
    case "abandon":
      return "moved";
    default:
      return error?.forced === undefined ? "released" : "forced";
  }
}

/** Waits for the outcome of a create command. */
class Ask implements CommandWaiter {
  readonly #local: LocalTicket;
  readonly #number: number;

  constructor(local: LocalTicket, number: number) {
    this.#local = local;
    this.#number = number;
  }

  settled(outcome: Outcome): void {
    this.#local.asked(this.#number, outcome);
  }

  failed(error: LockError): void {
    this.#local.askFailed(this.#number, "failed", error);
  }

  overdue(error: LockError): void {
    this.#local.askFailed(this.#number, "overdue", error);
  }
}

/** Waits for the outcome of a remove command. */
class Removal implements CommandWaiter {
  readonly #local: LocalTicket;

  constructor(local: LocalTicket) {
    this.#local = local;
  }

  settled({ kind }: Outcome): void {
    this.#local.dispatch(kind === "done" ? "done" : "notThere");
  }

  failed(error: LockError): void {
    this.#local.dispatch("failed", error);
  }

  overdue(): void {
    // Nobody waits for the outcome. The command is written as soon as etcd takes it.
  }
}

/** What a claim needs of its node, once it was granted. */
export interface ClaimHost {
  release(local: LocalTicket): Promise<void>;
  /** @returns the TTL in milliseconds */
  renew(local: LocalTicket, renewal: Renewal): Promise<number>;
}

/** One caller's request for a lock, for as long as the caller is interested in it. */
export class LocalClaim implements Claim {
  readonly #host: ClaimHost;
  /** Identifies this caller to the ticket, for which several callers may have asked. */
  readonly listener: ClaimListener;
  /**
   * The ticket that serves the claim. When a hold is lost before it could be confirmed, another ticket takes its place.
   */
  local: LocalTicket | undefined;
  /** Whether the caller still wants the lock. If it does not, it is not told of a later confirmation. */
  active = true;

  constructor(host: ClaimHost, listener: ClaimListener, local?: LocalTicket) {
    this.#host = host;
    this.listener = listener;
    this.local = local;
  }

  cancel(): void {
    this.active = false;
    this.local?.cancel(this.listener);
  }

  detach(): void {
    this.active = false;
    this.local?.detach(this.listener);
  }

  // No async functions: with many locks, a promise on the way of each release and renewal is a part of what it costs.

  release(): Promise<void> {
    const held = this.#held;
    return held === undefined ? Promise.reject(notHeld()) : this.#host.release(held);
  }

  renew(renewal: Renewal): Promise<number> {
    const held = this.#held;
    return held === undefined ? Promise.reject(notHeld()) : this.#host.renew(held, renewal);
  }

  get #held(): LocalTicket | undefined {
    const { local } = this;
    return local?.state === "held" || local?.state === "releasing" ? local : undefined;
  }
}
