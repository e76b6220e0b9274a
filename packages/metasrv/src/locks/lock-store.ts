import type { Logger } from "pino";
import type { LogEvent, LogListener, LogListing, Member, MembershipListener, TicketLog } from "../log/ticket-log.js";
import { Admission } from "./admission.js";
import { Adoption } from "./adoption.js";
import type { Claim, ClaimListener, ClaimRequest } from "./claim.js";
import { checkTtl } from "./claim-check.js";
import { Claiming } from "./claiming.js";
import type { Clock } from "./clock.js";
import { ClusterView } from "./cluster-view.js";
import type { Limits } from "./limits.js";
import { type ClaimHost, LocalClaim } from "./local-claim.js";
import { LocalTickets } from "./local-tickets.js";
import { type LockState, notAMember, notHeld, shuttingDown } from "./lock-errors.js";
import { decodeLockKey } from "./lock-key.js";
import { escapeLockName } from "./lock-name.js";
import { LockTable } from "./lock-table.js";
import { MemberTable } from "./member-table.js";
import { Standing } from "./standing.js";
import { TableProgress } from "./table-progress.js";
import { Takeover } from "./takeover.js";
import type { TicketRef } from "./ticket-map.js";

/** How long stopping waits for the store, in milliseconds. */
const stopBoundMs = 2_000;

/** What a lock store is made of. */
export interface LockStoreOptions {
  readonly log: TicketLog;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly logger: Logger;
  /** Source of ticket ids; the operating system's by default. */
  readonly random?: (bytes: number) => Uint8Array;
}

/**
 * The locks, as one node serves them: it folds the ticket log into the table, tells its own requesters of their grants
 * while it is surely a member, and runs the clocks of its own tickets.
 */
export class LockStore {
  readonly #log: TicketLog;
  readonly #clock: Clock;
  readonly #limits: Limits;
  readonly #logger: Logger;
  /** Who holds and who waits, on all nodes: what the log folds into. */
  readonly #table: LockTable;
  /** Lets a renewal wait until the table shows what the log has answered. */
  readonly #progress = new TableProgress();
  readonly #members = new MemberTable();
  /** The members, and which of them leads. */
  readonly cluster: ClusterView;
  /** Whether this node may serve now: asked before a grant is told and before a ticket is made this node's. */
  readonly #standing: Standing;
  /** The tickets of this node's own requesters. */
  readonly #locals: LocalTickets;
  readonly #claiming: Claiming;
  readonly #adoption: Adoption;
  readonly #takeover: Takeover;

  constructor(options: LockStoreOptions) {
    const { log, clock, limits, logger, random } = options;
    this.#log = log;
    this.#clock = clock;
    this.#limits = limits;
    this.#logger = logger;
    const progress = this.#progress;
    const standing = (this.#standing = new Standing(clock));
    this.cluster = new ClusterView({ members: this.#members, standing, logger });
    const table = (this.#table = new LockTable({
      put: (ticket) => {
        this.#locals.put(ticket);
      },
      granted: (ticket) => {
        this.#locals.granted(ticket);
      },
      removed: (ticket) => {
        this.#locals.removed(ticket, ticket.createRevision);
      },
    }));
    const admission = new Admission(limits, table);
    const adopting = (ticket: TicketRef) => this.#adoption.underWay(ticket);
    const locals = new LocalTickets({ log, clock, limits, logger, table, progress, standing, admission, adopting });
    this.#locals = locals;
    this.#claiming = new Claiming({ limits, random, table, standing, admission, locals, claimHost: this.#claimHost });
    this.#adoption = new Adoption({ log, limits, table, progress, standing, locals });
    this.#takeover = new Takeover({
      log,
      clock,
      table,
      members: this.#members,
      logger,
      waiterGraceMs: limits.waiterGraceMs,
      leads: () => this.cluster.leads && !standing.stopping,
      adopt: (ticket) => this.#adoption.takeOver(ticket),
    });
  }

  /** Number of tickets that this node serves. */
  get size(): number {
    return this.#locals.size;
  }

  /**
   * What is wrong with this node now, each for people to read; none when it serves well. Where something is, requests are
   * better sent to another node.
   */
  problems(): readonly string[] {
    return [this.#standing.problem(), this.#log.lag()].filter((problem) => problem !== undefined);
  }

  /**
   * Starts to serve; resolves once the log was read and the node has joined.
   *
   * @throws LockError `store-unavailable` when the store could not be reached in the configured time
   */
  async start(member: Member): Promise<void> {
    await this.#log.open(this.#logListener);
    await this.#log.join(member, this.#membershipListener);
  }

  /**
   * Ends every wait with `shutting-down`, leaves the held locks to the other members, and ends the membership. Waits
   * whose requesters know the ticket id keep their place for the grace, so that they can go on at another member.
   */
  async stop(): Promise<void> {
    this.#standing.stop();
    this.#progress.end();
    const removals: Promise<unknown>[] = [];
    for (const local of this.#locals.values()) {
      if (!local.held && !local.closed && !local.ticket.resumable) {
        // Nobody can go on with it at another member; but only once the log has answered is it known what to remove.
        removals.push((local.asked ?? Promise.resolve()).then(() => this.#locals.remove(local)));
      }
      local.abandon(shuttingDown());
    }
    await new Promise<void>((resolve) => {
      const timer = this.#clock.after(stopBoundMs, resolve);
      void Promise.allSettled(removals)
        .then(() => this.#log.leave())
        .catch((error: unknown) => {
          this.#logger.warn({ err: error }, "could not leave the store; the membership ends with its lease");
        })
        .finally(() => {
          timer.cancel();
          resolve();
        });
    });
    await this.#log.close();
  }

  /**
   * Asks for a lock.
   *
   * @throws LockError at once, and the listener is not called, for what is wrong with the request itself, a bound that is
   *   reached, or a node that cannot serve
   */
  claim(request: ClaimRequest, listener: ClaimListener): Claim {
    return this.#claiming.claim(request, listener);
  }

  /**
   * Releases a lock.
   *
   * @throws LockError `not-held` when the key does not hold any more, `invalid-key`, or what the log throws
   */
  async unlock(keyBytes: Uint8Array): Promise<void> {
    const key = decodeLockKey(keyBytes, this.#limits.maxNameBytes);
    await this.#unlock(key, key.token);
  }

  /**
   * Gives a held lock a full TTL again, and makes this node the one that runs its clock.
   *
   * @param ttlMs - a new TTL in milliseconds; 0 or absent keeps the one that it has
   * @returns the TTL in milliseconds
   * @throws LockError `not-held` when the key does not hold any more, `invalid-key`, `invalid-ttl`, or what the log throws
   */
  async renew(keyBytes: Uint8Array, ttlMs = 0): Promise<number> {
    const local = await this.#adoption.renewByKey(keyBytes, ttlMs);
    return local.ticket.ttlMs;
  }

  /**
   * As {@link renew}, for a requester that wants to be told of the end of the hold.
   *
   * @param listener - from then on told `lost`, at most once
   */
  async resume(keyBytes: Uint8Array, ttlMs: number, listener: ClaimListener): Promise<{ claim: Claim; ttlMs: number }> {
    const local = await this.#adoption.renewByKey(keyBytes, ttlMs);
    local.follow(listener);
    return { claim: new LocalClaim(this.#claimHost, listener, local), ttlMs: local.ticket.ttlMs };
  }

  /** Who holds a lock, and how many wait. */
  state(name: Uint8Array): LockState {
    return this.#table.state(escapeLockName(name));
  }

  /** What claims come back with, after the ticket was asked for. */
  readonly #claimHost: ClaimHost = {
    unlock: (ticket, token) => this.#unlock(ticket, token),
    checkTtl: (ttlMs) => checkTtl(ttlMs, this.#limits),
  };

  readonly #logListener: LogListener = {
    reset: (listing) => {
      this.#reset(listing);
    },
    apply: (events) => {
      this.#apply(events);
    },
  };

  readonly #membershipListener: MembershipListener = {
    joined: (memberId) => {
      this.#logger.info({ memberId }, "joined");
      this.#standing.joined(memberId);
      this.cluster.changed();
      this.#takeover.sweep();
    },
    extended: (aliveUntilMs) => {
      this.#standing.extended(aliveUntilMs);
      this.#locals.tellHeldBack();
    },
    lost: () => {
      const { memberId } = this.#standing;
      this.#logger.warn({ memberId }, "membership lost: no grants until this node has joined again");
      this.#standing.lost();
      this.cluster.changed();
      for (const local of this.#locals.values()) {
        local.abandon(notAMember());
      }
    },
  };

  async #unlock(ticket: TicketRef, token: bigint): Promise<void> {
    const { name, id } = ticket;
    const awaited = this.#table.waiters(name) > 0;
    const result = await this.#log.append({ kind: "delete", name, id, condition: { createRevision: token }, awaited });
    if (!result.done) {
      throw notHeld();
    }
    this.#locals.removed(ticket, token);
  }

  #reset(listing: LogListing): void {
    this.#members.reset(listing.members);
    this.#progress.advance(listing.revision);
    this.#table.reset(listing.tickets);
    this.#table.settle();
    this.#locals.listed(listing.revision);
    this.#progress.settled();
    this.cluster.changed();
    this.#takeover.sweep();
  }

  #apply(events: readonly LogEvent[]): void {
    let sweep = false;
    let membersChanged = false;
    for (const event of events) {
      switch (event.kind) {
        case "ticket-put":
          this.#table.put(event);
          this.#progress.advance(event.modRevision);
          // The log takes no ticket of a member that is gone; an older server or other hands may have put one there.
          sweep ||= !this.#members.has(event.ticket.memberId);
          break;
        case "ticket-deleted":
          this.#table.delete(event.name, event.id);
          break;
        case "member-put":
          this.#members.put(event);
          membersChanged = true;
          break;
        case "member-deleted":
          this.#members.delete(event.id);
          membersChanged = true;
          break;
      }
    }
    this.#table.settle();
    this.#progress.settled();
    if (membersChanged) {
      this.cluster.changed();
    }
    if (sweep || membersChanged) {
      this.#takeover.sweep();
    }
  }
}
