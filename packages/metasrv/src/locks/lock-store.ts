import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import type {
  LockName,
  LogEvent,
  LogListener,
  LogListing,
  Member,
  MembershipListener,
  OpResult,
  StoredTicket,
  Ticket,
  TicketId,
  TicketLog,
} from "../log/ticket-log.js";
import type { Claim, ClaimListener, ClaimRequest } from "./claim.js";
import { checkClaim, checkTtl } from "./claim-check.js";
import type { Clock } from "./clock.js";
import type { Limits } from "./limits.js";
import { asLockError, LocalTicket, type LocalTicketHost, notHeld } from "./local-ticket.js";
import { LockError, type LockState } from "./lock-errors.js";
import { decodeLockKey, type LockKey } from "./lock-key.js";
import { escapeLockName } from "./lock-name.js";
import { LockTable, type TableTicket } from "./lock-table.js";
import { MemberTable } from "./member-table.js";
import { Takeover } from "./takeover.js";
import { ticketIdFrom, ticketIdLength } from "./ticket-id.js";

/** Time between two attempts to remove a ticket while the store does not answer, in milliseconds. */
const discardRetryMs = 1_000;
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
  readonly #random: (bytes: number) => Uint8Array;
  readonly #table: LockTable;
  readonly #members = new MemberTable();
  readonly #takeover: Takeover;
  /** What the tickets served here need of this node. */
  readonly #host: LocalTicketHost;
  /** The tickets that this node serves, by name and id. */
  readonly #locals = new Map<string, LocalTicket>();
  /** Tickets asked for and not seen in the table yet, by name: they count as waiters. */
  readonly #unseen = new Map<LockName, number>();
  /** Tickets on their way to this node from another, by name and id, with the number of attempts. */
  readonly #adopting = new Map<string, number>();
  /** Who waits for the table to come as far as a revision. */
  #awaited: { readonly revision: bigint; readonly resolve: () => void }[] = [];
  readonly #heldBack = new Set<LocalTicket>();
  #memberId: string | undefined;
  #lastTicket: Ticket | undefined;
  #aliveUntilMs = 0;
  #stopping = false;
  /** How far the table has come. */
  #revision = 0n;

  constructor(options: LockStoreOptions) {
    this.#log = options.log;
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#logger = options.logger;
    this.#random = options.random ?? randomBytes;
    this.#table = new LockTable({
      put: (ticket) => {
        this.#put(ticket);
      },
      granted: (ticket) => {
        this.#granted(ticket);
      },
      removed: (ticket) => {
        this.#locals.get(localKey(ticket))?.removed(ticket.createRevision);
      },
    });
    this.#host = {
      log: this.#log,
      clock: this.#clock,
      waiterGraceMs: this.#limits.waiterGraceMs,
      find: (name: LockName, id: TicketId) => this.#table.get(name, id),
      state: (name: LockName) => this.#state(name),
      passed: (revision: bigint) => this.#revision >= revision,
      serves: (local: LocalTicket) => this.#locals.get(localKey(local)) === local,
      mayGrant: () => this.#clock.now() < this.#aliveUntilMs,
      holdBack: (local: LocalTicket) => {
        this.#heldBack.add(local);
      },
      forget: (local: LocalTicket) => {
        this.#forget(local);
      },
      discard: (local: LocalTicket) => {
        void this.#discard(local);
      },
      expired: ({ name, ticket, createRevision }: LocalTicket) => {
        this.#logger.info({ lock: name, owner: ticket.owner, token: createRevision?.toString() }, "lock expired");
      },
    };
    this.#takeover = new Takeover({
      log: this.#log,
      clock: this.#clock,
      table: this.#table,
      members: this.#members,
      logger: this.#logger,
      waiterGraceMs: this.#limits.waiterGraceMs,
      leads: () => this.leads && !this.#stopping,
      adopt: (ticket) => this.#adopt(ticket, ticket.ticket.ttlMs, true),
    });
  }

  /** Number of tickets that this node serves. */
  get size(): number {
    return this.#locals.size;
  }

  /** Whether this node leads: it is the oldest live member. */
  get leads(): boolean {
    return this.#memberId !== undefined && this.#members.leader?.id === this.#memberId;
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
    this.#stopping = true;
    this.#tellReached();
    const removals: Promise<unknown>[] = [];
    for (const local of this.#locals.values()) {
      if (!local.held && !local.closed && !local.ticket.resumable) {
        removals.push((local.asked ?? Promise.resolve()).then(() => this.#remove(local)));
      }
      local.abandon(shuttingDown());
    }
    await new Promise<void>((resolve) => {
      const timer = this.#clock.after(stopBoundMs, resolve);
      void Promise.allSettled(removals)
        .then(() => this.#log.leave())
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
    const { ttlMs, owner } = checkClaim(request, this.#limits);
    const name = escapeLockName(request.name);
    const resumable = request.ticketId !== undefined;
    const id = ticketIdFrom(request.ticketId ?? this.#random(ticketIdLength));
    const ticket = this.#ticketOf(ttlMs, owner, resumable);
    const claim = new LocalClaim(this.#claimHost, listener);
    this.#serve(claim, name, id, ticket, request.waitMs);
    return claim;
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
    const local = await this.#renewByKey(keyBytes, ttlMs);
    return local.ticket.ttlMs;
  }

  /**
   * As {@link renew}, for a requester that wants to be told of the end of the hold.
   *
   * @param listener - from then on told `lost`, at most once
   */
  async resume(keyBytes: Uint8Array, ttlMs: number, listener: ClaimListener): Promise<{ claim: Claim; ttlMs: number }> {
    const local = await this.#renewByKey(keyBytes, ttlMs);
    local.follow(listener);
    return { claim: new LocalClaim(this.#claimHost, listener, local), ttlMs: local.ticket.ttlMs };
  }

  /** Who holds a lock, and how many wait. */
  state(name: Uint8Array): LockState {
    return this.#state(escapeLockName(name));
  }

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
      this.#memberId = memberId;
      this.#takeover.sweep();
    },
    extended: (aliveUntilMs) => {
      this.#aliveUntilMs = aliveUntilMs;
      const heldBack = [...this.#heldBack];
      this.#heldBack.clear();
      for (const local of heldBack) {
        const entry = this.#table.get(local.name, local.id);
        if (entry !== undefined) {
          local.consider(entry);
        }
      }
    },
    lost: () => {
      this.#logger.warn({ memberId: this.#memberId }, "membership lost: no grants until this node has joined again");
      this.#memberId = undefined;
      this.#aliveUntilMs = 0;
      for (const local of this.#locals.values()) {
        local.abandon(notAMember());
      }
    },
  };

  #requireMember(): string {
    if (this.#stopping) {
      throw shuttingDown();
    }
    if (this.#memberId === undefined) {
      throw notAMember();
    }
    return this.#memberId;
  }

  #serve(claim: LocalClaim, name: LockName, id: TicketId, ticket: Ticket, waitMs: number | undefined): void {
    const existing = this.#locals.get(localKey({ name, id }));
    if (existing !== undefined && !existing.closed) {
      claim.local = existing;
      if (existing.held) {
        void this.#reconfirm(claim, existing, () => {
          this.#serve(claim, name, id, { ...ticket, memberId: this.#requireMember() }, waitMs);
        });
      } else {
        existing.attach(claim.listener, waitMs);
        queueMicrotask(() => {
          this.#reconsider(existing);
        });
      }
      return;
    }
    const joins = this.#table.get(name, id) === undefined && waitMs !== 0;
    this.#requireRoom(name, joins);
    const local = this.#addLocal(name, id, ticket);
    if (joins) {
      local.counted = true;
      this.#unseen.set(name, (this.#unseen.get(name) ?? 0) + 1);
    }
    claim.local = local;
    local.attach(claim.listener, waitMs);
    local.asked = local.ask().finally(() => {
      this.#seen(local);
    });
  }

  async #reconfirm(claim: LocalClaim, local: LocalTicket, restart: () => void): Promise<void> {
    try {
      await local.reconfirm(claim.listener, () => claim.active);
      if (!claim.active) {
        local.cancel(claim.listener);
      }
    } catch (error) {
      if (!claim.active) {
        return;
      }
      try {
        const failure = asLockError(error);
        if (failure.reason !== "not-held") {
          throw failure;
        }
        restart();
      } catch (failure) {
        claim.listener.failed(asLockError(failure));
      }
    }
  }

  /** One client's tickets are mostly alike, so that they can share their content. */
  #ticketOf(ttlMs: number, owner: string, resumable: boolean): Ticket {
    const memberId = this.#requireMember();
    const last = this.#lastTicket;
    if (last?.ttlMs === ttlMs && last.owner === owner && last.resumable === resumable && last.memberId === memberId) {
      return last;
    }
    this.#lastTicket = { mode: "exclusive", ttlMs, owner, memberId, resumable };
    return this.#lastTicket;
  }

  #requireRoom(name: LockName, joins: boolean): void {
    const { maxTickets, maxWaitersPerLock } = this.#limits;
    if (this.#locals.size >= maxTickets) {
      throw new LockError(
        "too-many-tickets",
        `this node serves ${maxTickets} tickets already, as many as it is configured to; ask another node, or raise the limit`,
      );
    }
    const queued = this.#table.waiters(name) + (this.#unseen.get(name) ?? 0);
    if (joins && queued >= maxWaitersPerLock + (this.#table.first(name) === undefined ? 1 : 0)) {
      throw new LockError(
        "too-many-waiters",
        `${maxWaitersPerLock} requests wait for this lock already, as many as are allowed; try again later`,
      );
    }
  }

  async #unlock({ name, id }: { name: LockName; id: TicketId }, token: bigint): Promise<void> {
    const result = await this.#log.append({ kind: "delete", name, id, condition: { createRevision: token } });
    if (!result.done) {
      throw notHeld();
    }
    const local = this.#locals.get(localKey({ name, id }));
    local?.removed(token);
  }

  async #renewByKey(keyBytes: Uint8Array, ttlMs: number): Promise<LocalTicket> {
    const key = decodeLockKey(keyBytes, this.#limits.maxNameBytes);
    const wanted = ttlMs === 0 ? undefined : checkTtl(ttlMs, this.#limits);
    this.#requireMember();
    const local = this.#locals.get(localKey(key));
    if (local?.held === true && local.createRevision === key.token) {
      try {
        await local.renew(wanted ?? local.ticket.ttlMs);
        return local;
      } catch (error) {
        if (!(error instanceof LockError && error.reason === "not-held")) {
          throw error;
        }
        // It may have been at another member and come back.
      }
    }
    return this.#adoptByKey(key, wanted);
  }

  async #adoptByKey({ name, id, token }: LockKey, ttlMs: number | undefined): Promise<LocalTicket> {
    let known: StoredTicket | undefined = this.#table.get(name, id);
    if (known?.createRevision !== token) {
      // The table may lag behind the store.
      const read = await this.#log.append({ kind: "read", name, id });
      known = read.done ? undefined : read.existing;
    }
    while (known?.createRevision === token) {
      const result: LocalTicket | { readonly existing: StoredTicket | undefined } = await this.#adopt(
        known,
        ttlMs ?? known.ticket.ttlMs,
      );
      if (result instanceof LocalTicket) {
        await this.#checkHolds(result);
        return result;
      }
      known = result.existing;
    }
    throw notHeld();
  }

  /** A key is given at the grant only. But one could be forged for a ticket that waits, by whoever chose its id. */
  async #checkHolds(local: LocalTicket): Promise<void> {
    if (this.#table.get(local.name, local.id)?.holds === true) {
      return;
    }
    await this.#reached(local.modRevision);
    if (this.#table.get(local.name, local.id)?.holds !== true) {
      throw notHeld();
    }
  }

  /** Resolves once the table has come as far as `revision`. */
  #reached(revision: bigint): Promise<void> {
    return new Promise((resolve) => {
      this.#awaited.push({ revision, resolve });
      this.#tellReached();
    });
  }

  #tellReached(): void {
    if (this.#awaited.length > 0) {
      const reached = this.#awaited.filter(({ revision }) => this.#stopping || revision <= this.#revision);
      this.#awaited = this.#awaited.filter((awaited) => !reached.includes(awaited));
      for (const { resolve } of reached) {
        resolve();
      }
    }
  }

  /** Makes a ticket that holds this node's own, and starts its clock; or answers how the ticket stands instead. */
  async #adopt(
    stored: StoredTicket,
    ttlMs: number,
    takeover = false,
  ): Promise<LocalTicket | { readonly existing: StoredTicket | undefined }> {
    const { name, id, createRevision, modRevision } = stored;
    const ticket: Ticket = { ...stored.ticket, ttlMs, memberId: this.#requireMember() };
    const result = await this.#whileAdopting(stored, () =>
      this.#log.append({ kind: "update", name, id, ticket, modRevision }),
    );
    if (!result.done) {
      return result;
    }
    if (this.#requireMember() !== ticket.memberId) {
      throw notAMember();
    }
    const current = this.#locals.get(localKey(stored));
    if (takeover && current !== undefined && !current.closed) {
      // Its requester has come back here, and its own request goes on.
      return current;
    }
    const local = current === undefined || current.closed ? this.#addLocal(name, id, ticket) : current;
    local.adopted(ticket, createRevision, result.revision);
    return local;
  }

  /** Knows, when the ticket's event comes before the answer, that somebody here has asked for it. */
  async #whileAdopting(ticket: StoredTicket, update: () => Promise<OpResult>): Promise<OpResult> {
    const key = localKey(ticket);
    this.#adopting.set(key, (this.#adopting.get(key) ?? 0) + 1);
    let done = false;
    try {
      const result = await update();
      ({ done } = result);
      return result;
    } finally {
      const left = (this.#adopting.get(key) ?? 1) - 1;
      if (left > 0) {
        this.#adopting.set(key, left);
      } else {
        this.#adopting.delete(key);
        const entry = this.#table.get(ticket.name, ticket.id);
        const ours = entry !== undefined && entry.ticket.memberId === this.#memberId && !this.#locals.has(key);
        if (!done && ours && !this.#stopping) {
          this.#keep(entry);
        }
      }
    }
  }

  #addLocal(name: LockName, id: TicketId, ticket: Ticket): LocalTicket {
    const local = new LocalTicket(this.#host, name, id, ticket);
    this.#locals.set(localKey(local), local);
    return local;
  }

  #forget(local: LocalTicket): void {
    this.#heldBack.delete(local);
    const key = localKey(local);
    if (this.#locals.get(key) === local) {
      this.#locals.delete(key);
      const entry = this.#table.get(local.name, local.id);
      if (entry !== undefined && entry.modRevision > local.modRevision) {
        // Another attempt at the same request took effect meanwhile.
        this.#put(entry);
      }
    }
  }

  /** Removes a ticket that nobody wants from the log, for as long as it takes while this node serves it. */
  async #discard(local: LocalTicket): Promise<void> {
    const served = () => this.#locals.get(localKey(local)) === local;
    while (served()) {
      try {
        const existing = await this.#remove(local);
        if (existing?.ticket.memberId !== local.ticket.memberId) {
          break;
        }
        local.modRevision = existing.modRevision;
      } catch {
        await new Promise<void>((resolve) => {
          this.#clock.after(discardRetryMs, resolve);
        });
      }
    }
    this.#forget(local);
  }

  /** Removes a local ticket; what is returned was not removed, because it has changed. */
  async #remove({ name, id, modRevision }: LocalTicket): Promise<StoredTicket | undefined> {
    const result = await this.#log.append({ kind: "delete", name, id, condition: { modRevision } });
    return result.done ? undefined : result.existing;
  }

  #reset(listing: LogListing): void {
    this.#members.reset(listing.members);
    this.#revision = listing.revision;
    this.#table.reset(listing.tickets);
    this.#table.settle();
    for (const local of this.#locals.values()) {
      if (
        local.createRevision !== undefined &&
        local.modRevision <= listing.revision &&
        this.#table.get(local.name, local.id) === undefined
      ) {
        local.removed(local.createRevision);
      }
    }
    this.#tellReached();
    this.#takeover.sweep();
  }

  #apply(events: readonly LogEvent[]): void {
    let sweep = false;
    for (const event of events) {
      switch (event.kind) {
        case "ticket-put":
          this.#table.put(event);
          this.#revision = event.modRevision;
          sweep ||= !this.#members.has(event.ticket.memberId);
          break;
        case "ticket-deleted":
          this.#table.delete(event.name, event.id);
          break;
        case "member-put":
          this.#members.put(event);
          sweep = true;
          break;
        case "member-deleted":
          this.#members.delete(event.id);
          sweep = true;
          break;
      }
    }
    this.#table.settle();
    this.#tellReached();
    if (sweep) {
      this.#takeover.sweep();
    }
  }

  #put(ticket: TableTicket): void {
    const local = this.#locals.get(localKey(ticket));
    if (local !== undefined) {
      local.consider(ticket);
      if (ticket.ticket.memberId === local.ticket.memberId) {
        this.#seen(local);
      }
    } else if (ticket.ticket.memberId !== this.#memberId || this.#stopping || this.#adopting.has(localKey(ticket))) {
      return;
    } else if (ticket.modRevision > ticket.createRevision) {
      this.#keep(ticket);
    } else {
      // A request whose outcome was unknown took effect after all, and nobody waits for it any more.
      this.#addLocal(ticket.name, ticket.id, ticket.ticket).orphaned(ticket);
    }
  }

  /** Serves a ticket that came here without a request: its requester may believe that it holds. */
  #keep(entry: TableTicket): void {
    this.#addLocal(entry.name, entry.id, entry.ticket).kept(entry);
  }

  #granted(ticket: TableTicket): void {
    this.#locals.get(localKey(ticket))?.consider(ticket);
  }

  #reconsider(local: LocalTicket): void {
    const entry = this.#table.get(local.name, local.id);
    if (entry !== undefined && !local.held) {
      local.consider(entry);
    }
  }

  #seen(local: LocalTicket): void {
    if (local.counted) {
      local.counted = false;
      const unseen = (this.#unseen.get(local.name) ?? 1) - 1;
      if (unseen === 0) {
        this.#unseen.delete(local.name);
      } else {
        this.#unseen.set(local.name, unseen);
      }
    }
  }

  #state(name: LockName): LockState {
    const holder = this.#table.first(name);
    return {
      holderOwner: holder?.ticket.owner ?? "",
      holderToken: holder?.createRevision ?? 0n,
      waiters: this.#table.waiters(name),
    };
  }
}

/** What a claim needs of its store. */
interface ClaimHost {
  unlock(ticket: LocalTicket, token: bigint): Promise<void>;
  checkTtl(ttlMs: number): number;
}

/** What one caller asked for, while it is of interest to it. */
class LocalClaim implements Claim {
  readonly #host: ClaimHost;
  readonly listener: ClaimListener;
  local: LocalTicket | undefined;
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

  async release(): Promise<void> {
    const { local } = this;
    if (local?.createRevision === undefined || !local.held) {
      throw notHeld();
    }
    await this.#host.unlock(local, local.createRevision);
  }

  async renew(ttlMs: number): Promise<number> {
    const { local } = this;
    if (local?.held !== true) {
      throw notHeld();
    }
    await local.renew(ttlMs === 0 ? local.ticket.ttlMs : this.#host.checkTtl(ttlMs));
    return local.ticket.ttlMs;
  }
}

function localKey({ name, id }: { readonly name: LockName; readonly id: TicketId }): string {
  return `${name}/${id}`;
}

function shuttingDown(): LockError {
  return new LockError("shutting-down", "this node is shutting down, try another node");
}

function notAMember(): LockError {
  return new LockError(
    "not-a-member",
    "this node cannot reach the store and may not grant locks now; try another node, or try again in a few seconds",
  );
}
