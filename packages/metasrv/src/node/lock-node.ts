import { type Clock, newTicketId } from "@metasrv/wire";
import type { Logger } from "pino";
import { findDeadlock } from "../fold/deadlocks.js";
import { Fold } from "../fold/fold.js";
import type { Ticket } from "../fold/queue.js";
import { TicketMap } from "../fold/ticket-map.js";
import type { CommandLog, CommandWaiter, LogFigures, MembershipListener } from "../log/command-log.js";
import { kindsLevel, type Outcome } from "../model/command.js";
import type { Limits } from "../model/limits.js";
import {
  asLockError,
  clusterTooOld,
  type ForcedBy,
  type LockError,
  type LockState,
  noSuchTicket,
  notAMember,
  notDowngradable,
  notHeld,
  removedByForce,
  shuttingDown,
  superseded,
} from "../model/lock-errors.js";
import type { Member } from "../model/member.js";
import { hasLabelsOnly, isExclusive, type TicketContent, type TicketExtras } from "../model/ticket-content.js";
import {
  type LockKey,
  type LockName,
  lockNameOf,
  showLockName,
  ticketIdFrom,
  type TicketRef,
} from "../model/ticket-ref.js";
import { Admission, checkClaim, type CheckedClaim, checkForce, checkKey, checkTtl, checkValue } from "./admission.js";
import { Alarms } from "./alarms.js";
import type { Claim, ClaimListener, ClaimRequest, Renewal, TicketAccount } from "./claim.js";
import { ClusterView } from "./cluster-view.js";
import { Inspection, type TicketInfo } from "./inspection.js";
import { type ClaimHost, LocalClaim, LocalTicket, type TicketRequest } from "./local-ticket.js";
import type { NodeObserver } from "./node-observer.js";
import { Standing } from "./standing.js";
import { TableWatch } from "./table-watch.js";
import { Takeover } from "./takeover.js";
import type { ServedTicket, TicketHost } from "./ticket-host.js";
import { UnderWay } from "./under-way.js";

/** How long stopping waits for etcd, in milliseconds. */
const stopBoundMs = 2_000;

export interface LockNodeOptions {
  readonly log: CommandLog;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly logger: Logger;
  /** Counts what happens; absent: nobody wants to know. */
  readonly observer?: NodeObserver | undefined;
  /** Makes ticket ids for requesters that have none; replaced only in tests. */
  readonly newTicketId?: () => Uint8Array;
  /** The time of day, in milliseconds of Unix time; replaced only in tests. */
  readonly unixMs?: () => number;
  /** What the log is folded into; replaced only in tests. */
  readonly fold?: Fold;
}

/**
 * The locks, as one node serves them. It writes the commands that its requesters need, tells them of grants while it is
 * surely a member, and runs the clocks of the tickets that it serves.
 */
export class LockNode {
  readonly #log: CommandLog;
  readonly #clock: Clock;
  readonly #limits: Limits;
  readonly #logger: Logger;
  readonly #observer: NodeObserver | undefined;
  readonly #newTicketId: () => Uint8Array;
  readonly #unixMs: () => number;
  /** Who holds and who waits, on all nodes. */
  readonly #fold: Fold;
  /** The members, and which of them leads. */
  readonly cluster: ClusterView;
  /** Shows who holds and who waits. */
  readonly inspection: Inspection;
  /** Tells of changes. */
  readonly watch: TableWatch;
  /** Whether this node may serve now. It is asked before a grant is told, and before a command is written. */
  readonly #standing: Standing;
  readonly #admission: Admission;
  readonly #alarms: Alarms;
  readonly #takeover: Takeover;
  readonly #host: TicketHost;
  /**
   * Tickets that this node serves and that the table does not show yet. The others follow their tickets in the table.
   */
  readonly #unshown = new TicketMap<LocalTicket>();
  /** Tickets that hold. Their requesters are told once the membership is sure again. */
  readonly #heldBack = new Set<ServedTicket>();
  readonly #underWay: UnderWay;
  #size = 0;
  /** Called when the last ticket is gone. */
  #emptied: (() => void) | undefined;
  /** What was asked for last. Requests of one client are mostly alike, and share one object. */
  #lastContent: TicketContent | undefined;

  constructor(options: LockNodeOptions) {
    const { log, clock, limits, logger, fold = new Fold() } = options;
    this.#log = log;
    this.#clock = clock;
    this.#limits = limits;
    this.#logger = logger;
    this.#observer = options.observer;
    this.#newTicketId = options.newTicketId ?? newTicketId;
    this.#unixMs = options.unixMs ?? Date.now;
    this.#fold = fold;
    fold.nowMs = () => Math.floor(clock.now());
    this.#standing = new Standing(clock);
    this.#admission = new Admission(limits, fold);
    this.#alarms = new Alarms(clock);
    this.#underWay = new UnderWay(log);
    this.#host = this.#createHost();
    this.cluster = new ClusterView({ standing: this.#standing, logger });
    this.inspection = new Inspection({
      fold,
      log,
      clock,
      unixMs: this.#unixMs,
      expiresAtMs: ({ follower }) => (follower instanceof LocalTicket ? follower.expiresAtMs : undefined),
      loopActiveMs: () => performance.eventLoopUtilization().active,
    });
    this.watch = new TableWatch({ fold, clock, inspection: this.inspection });
    this.#takeover = new Takeover({
      log,
      clock,
      logger,
      fold,
      cluster: this.cluster,
      waiterGraceMs: limits.waiterGraceMs,
      leads: () => this.cluster.leads && !this.#standing.stopping,
      adopted: (ticket) => {
        if (this.#host.isMember(ticket.memberId)) {
          this.#serveHold(ticket);
        }
      },
    });
  }

  /** What the locks of a group come to on all nodes, and how long the first of their waiters has waited, in milliseconds. */
  tally(group: object): { readonly locks: number; readonly waiting: number; readonly oldestWaitMs: number } {
    const { locks = 0, waiting = 0, oldestSeenAtMs } = this.#fold.tally(group) ?? {};
    const oldestWaitMs = oldestSeenAtMs === undefined ? 0 : Math.max(0, this.#fold.nowMs() - oldestSeenAtMs);
    return { locks, waiting, oldestWaitMs };
  }

  /** How long this node is surely a member unless it hears more of the store, in milliseconds; Infinity: for ever. */
  get membershipLeftMs(): number {
    return this.#standing.leftMs;
  }

  /** What there is to know of the log. */
  logFigures(): LogFigures {
    return this.#log.figures?.() ?? {};
  }

  /** Number of tickets that this node serves. */
  get size(): number {
    return this.#size;
  }

  /**
   * What is wrong with this node now, in words for people; empty while it serves well. While there is a problem,
   * requests should go to another node.
   */
  problems(): readonly string[] {
    return [this.#standing.problem(), this.#log.lag()].filter((problem) => problem !== undefined);
  }

  /**
   * Starts to serve; resolves once the node has read the log and joined.
   *
   * @throws LockError `store-unavailable` when the store could not be reached in the configured time; FatalError when
   *   the log cannot be read
   */
  async start(member: Omit<Member, "level">): Promise<void> {
    await this.#log.open(this.#fold, {
      members: (members) => {
        this.cluster.update(members);
        this.#takeover.sweep();
      },
      strays: (tickets) => {
        this.#serveStrays(tickets);
      },
    });
    await this.#log.join(member, this.#membershipListener);
  }

  /**
   * Ends every wait with `shutting-down`, leaves held locks to the other members, and ends the membership. A wait whose
   * requester knows the ticket id keeps its place for the grace, so that the requester can ask for it at another
   * member.
   */
  async stop(): Promise<void> {
    this.#standing.stop();
    // All tickets get the same error: a million errors with their stacks would take longer than stopping may.
    const reason = shuttingDown();
    for (const local of this.#locals()) {
      if (local.state === "leftOver") {
        // Nobody wants it, and the log did not take its removal: there is no time for the pause before the next try.
        local.dispatch("timeOver");
      } else if (local.state !== "held" && !local.resumable) {
        // Its requester cannot ask for it at another member.
        local.giveUp(reason);
      } else if (local.state !== "removing" && local.state !== "withdrawn") {
        local.dispatch("abandon", reason);
      }
    }
    await new Promise<void>((resolve) => {
      const timer = this.#clock.after(stopBoundMs, resolve);
      void this.#emptiedSoon()
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
    this.#alarms.close();
    this.#takeover.close();
    this.inspection.close();
  }

  /**
   * Asks for a lock.
   *
   * @throws LockError when the request itself is wrong, a bound is reached, or the node cannot serve; the listener is
   *   not called then
   */
  claim(request: ClaimRequest, listener: ClaimListener): Claim {
    try {
      return this.#claim(request, listener);
    } catch (error) {
      this.#observer?.rejected();
      throw error;
    }
  }

  #claim(request: ClaimRequest, listener: ClaimListener): Claim {
    const { name, content } = checkClaim(request, this.#limits);
    const { ticketId = this.#newTicketId(), attempt = 0, waitMs, account } = request;
    const claim = new LocalClaim(this.#claimHost, listener);
    this.#serve(claim, {
      name,
      id: ticketIdFrom(ticketId),
      content: this.#contentOf(content, request.ticketId !== undefined),
      attempt,
      waitMs,
      account,
      traceparent: request.traceparent,
    });
    return claim;
  }

  /**
   * The locks that a key holds: several if they were asked for at once and this node knows its ticket.
   *
   * @throws LockError `invalid-key`
   */
  namesOf(keyBytes: Uint8Array): readonly LockName[] {
    const key = checkKey(keyBytes, this.#limits.maxNameBytes);
    return this.#fold.get(key)?.group?.parts.map(({ name }) => name) ?? [key.name];
  }

  /**
   * Releases a lock.
   *
   * @throws LockError `not-held` when the key does not hold its lock any more, `invalid-key`, or what the log fails
   *   with
   */
  async unlock(keyBytes: Uint8Array): Promise<void> {
    this.#standing.requireMember();
    await this.#release(checkKey(keyBytes, this.#limits.maxNameBytes), undefined);
  }

  /**
   * Gives a held lock a full TTL again. This node then runs the lock's clock.
   *
   * @returns the TTL in milliseconds
   * @throws LockError `not-held` when the key does not hold its lock any more, `invalid-key`, `invalid-ttl`, `invalid-mode`
   *   when it cannot be downgraded, `cluster-too-old`, or what the log fails with
   */
  async renew(keyBytes: Uint8Array, renewal: Renewal = {}): Promise<number> {
    return contentOf(await this.#renew(checkKey(keyBytes, this.#limits.maxNameBytes), renewal)).ttlMs;
  }

  /**
   * Does what {@link renew} does, for a requester that wants to be told of the end of the hold.
   *
   * @param listener - told `lost` from then on, at most once, and perhaps before this resolves
   */
  async resume(
    keyBytes: Uint8Array,
    renewal: Renewal,
    listener: ClaimListener,
  ): Promise<{ claim: Claim; ttlMs: number }> {
    const local = await this.#renew(checkKey(keyBytes, this.#limits.maxNameBytes), renewal, listener);
    const claim = new LocalClaim(this.#claimHost, listener, local);
    return { claim, ttlMs: contentOf(local).ttlMs };
  }

  /**
   * Takes a ticket out of its queue by force, whoever serves it, and keeps a record of that in the log.
   *
   * @param dryRun - do nothing, and show the ticket only
   * @returns the ticket as it stood
   * @throws LockError `not-held` when there is no such ticket, `invalid-force`, `cluster-too-old`, or what the log fails with
   */
  async force(name: LockName, token: bigint, by: ForcedBy, dryRun: boolean): Promise<TicketInfo> {
    checkForce(by);
    this.#standing.requireMember();
    this.#requireKinds();
    const ticket = await this.inspection.ticket(name, token);
    if (ticket === undefined) {
      throw noSuchTicket();
    }
    if (dryRun) {
      return ticket;
    }
    const done = await new Promise<boolean>((resolve, reject) => {
      this.#log.append(
        { kind: "force", name, token, ...by, unixMs: this.#unixMs() },
        {
          settled: ({ kind }) => {
            resolve(kind === "done");
          },
          failed: reject,
          overdue: reject,
        },
        "now",
      );
    });
    if (!done) {
      throw noSuchTicket();
    }
    const { owner, holds } = ticket;
    this.#logger.warn(
      { lock: showLockName(name), token: String(token), owner, holds, ...by },
      "lock released by force",
    );
    return ticket;
  }

  /** Who holds a lock, and how many wait. */
  state(name: Uint8Array): LockState {
    return this.#fold.state(lockNameOf(name));
  }

  readonly #claimHost: ClaimHost = {
    release: (local) => this.#release(local.key(), local),
    renew: async (local, renewal) => contentOf(await this.#renew(local.key(), renewal)).ttlMs,
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
      const heldBack = [...this.#heldBack];
      this.#heldBack.clear();
      for (const local of heldBack) {
        local.dispatch("sure");
      }
    },
    lost: () => {
      const { memberId } = this.#standing;
      this.#logger.warn({ memberId }, "membership lost: no grants until this node has joined again");
      this.#standing.lost();
      this.cluster.changed();
      const reason = notAMember();
      for (const local of this.#locals()) {
        local.dispatch("abandon", reason);
      }
    },
  };

  #serve(claim: LocalClaim, request: TicketRequest): void {
    this.#standing.requireMember();
    const { content, attempt, waitMs } = request;
    const existing = this.#find(request);
    if (existing === undefined) {
      this.#underWay.requireNoRemoval(request);
      claim.local = this.#serveAnew(request, claim.listener);
      return;
    }
    if (attempt < existing.attempt) {
      throw superseded();
    }
    claim.local = existing;
    if (existing.ticket !== undefined && this.#fold.isOutdated(existing.ticket.token)) {
      existing.dispatch("outdated");
    }
    if (existing.state === "held") {
      this.#log.append(
        { kind: "create", name: existing.name, id: existing.id, content, attempt, try: waitMs === 0 },
        this.#confirmation(claim, existing, request),
        "soon",
      );
    } else {
      existing.attach(claim.listener, waitMs);
      existing.ask(request);
    }
  }

  #serveAnew(request: TicketRequest, listener: ClaimListener): LocalTicket {
    const { name, content, waitMs, account } = request;
    const joins = waitMs !== 0 && this.#fold.get(request) === undefined;
    this.#admission.requireRoom(name, content, this.#size, joins);
    account?.requireRoom();
    const local = this.#add(request);
    if (joins) {
      this.#admission.count(local);
    }
    local.attach(listener, waitMs);
    if (waitMs === 0 && !this.#fold.admits(name, content) && this.#fold.get(request) === undefined) {
      local.state = "looking";
      void this.#look(local);
    } else {
      local.ask(request);
    }
    return local;
  }

  /** Finds out whether a lock that looks taken is taken now. It first reads what was committed before the request. */
  async #look(local: LocalTicket): Promise<void> {
    try {
      await this.#log.catchUp();
      const taken = !this.#fold.admits(local.name, local.content) && this.#fold.get(local) === undefined;
      local.dispatch(taken ? "taken" : "free");
    } catch (error) {
      local.dispatch("failed", asLockError(error));
    }
  }

  /**
   * Waits for the outcome of a create command for a ticket that is held already: its requester asked again, and may not
   * have heard of the grant. The hold gets a full TTL, and the grant is told again. If the hold is lost meanwhile, the
   * request is served as a new one.
   */
  #confirmation(claim: LocalClaim, held: LocalTicket, request: TicketRequest): CommandWaiter {
    const receivedAtMs = this.#clock.now();
    const { content } = request;
    held.renewing();
    const failed = (error: LockError) => {
      if (claim.active) {
        claim.listener.failed(error);
      }
    };
    return {
      settled: (outcome) => {
        const { ticket } = held;
        const stands =
          held.state === "held" && outcome.kind === "holds" && outcome.token === ticket?.token && ticket.present;
        held.renewalEnded(stands);
        if (stands && claim.active) {
          held.reconfirm(claim.listener, request.attempt, receivedAtMs);
        } else if (outcome.kind === "refused" && claim.active) {
          claim.listener.refused(this.#fold.obstacle(request.name, content));
        } else if (outcome.kind === "superseded") {
          failed(superseded());
        } else if (!stands && (this.#standing.stopping || this.#standing.memberId === undefined)) {
          failed(this.#servedElsewhere());
        } else if (!stands && (outcome.kind === "holds" || outcome.kind === "waits")) {
          this.#serveOutcome(claim, request, outcome);
        }
      },
      failed: (error) => {
        held.renewalEnded(false);
        failed(error);
      },
      overdue: (error) => {
        failed(error);
        claim.active = false;
      },
    };
  }

  /** Such a command has created a new ticket instead, or found one that is about to go. */
  #serveOutcome(claim: LocalClaim, request: TicketRequest, outcome: Outcome): void {
    const existing = this.#find(request);
    if (existing !== undefined) {
      if (claim.active) {
        claim.local = existing;
        existing.attach(claim.listener, request.waitMs);
        existing.ask(request);
      }
      return;
    }
    const local = this.#add(request);
    if (claim.active) {
      claim.local = local;
      local.attach(claim.listener, request.waitMs);
    } else {
      local.state = "withdrawn";
    }
    local.asked(0, outcome);
  }

  /** Removes a ticket that holds. */
  #release(key: LockKey, local: LocalTicket | undefined): Promise<void> {
    const { name, id, token } = key;
    const urgency = this.#fold.waiters(name) > 0 ? "now" : "soon";
    local?.dispatch("release");
    return new Promise<void>((resolve, reject) => {
      this.#log.append(
        { kind: "remove", name, id, token, cause: "released", memberId: "" },
        {
          settled: ({ kind }) => {
            if (kind === "done") {
              local?.dispatch("done");
              resolve();
            } else {
              const error = this.#notHeld(token);
              local?.dispatch("notThere", error);
              reject(error);
            }
          },
          failed: (error) => {
            local?.dispatch("failed");
            reject(error);
          },
          overdue: reject,
        },
        urgency,
      );
    });
  }

  /** Why a ticket is not there any more. */
  #notHeld(token: bigint): LockError {
    const record = this.#fold.forced.get(token);
    return record === undefined ? notHeld() : removedByForce(record);
  }

  /**
   * Gives a ticket that holds a full TTL, and serves it from then on.
   *
   * @param listener - who follows the ticket from then on; absent: who does already
   */
  async #renew(
    key: LockKey,
    { ttlMs = 0, downgrade = false, account, value: given }: Renewal,
    listener?: ClaimListener,
  ): Promise<LocalTicket> {
    const { name, id, token } = key;
    const wanted = ttlMs === 0 ? 0 : checkTtl(ttlMs, this.#limits);
    const value = given === undefined ? undefined : checkValue(given);
    this.#standing.requireMember();
    if (downgrade || value !== undefined) {
      this.#requireKinds();
    }
    const before = this.#find(key);
    const local = before?.ticket?.token === token ? before : undefined;
    if (local?.state === "removing" || local?.state === "leftOver" || local?.state === "replacing") {
      throw notHeld();
    }
    this.#underWay.requireNoRemoval(key);
    local?.renewing();
    return new Promise((resolve, reject) => {
      this.#underWay.renew(
        { kind: "renew", name, id, token, ttlMs: wanted, downgrade, value },
        {
          settled: ({ kind }) => {
            const ticket = this.#fold.get(key);
            const stands = kind === "done" && ticket?.token === token;
            const serves = stands && !this.#standing.stopping && this.#host.isMember(ticket.memberId);
            if (local !== undefined) {
              local.renewalEnded(serves && ticket.follower === local);
            }
            if (serves) {
              const served = this.#serveHold(ticket, local);
              if (served.account === undefined) {
                charge(served, account);
              }
              if (listener !== undefined) {
                // At once: the ticket may go with the next entry, before anybody hears of this promise.
                served.follow(listener);
              }
              resolve(served);
            } else if (kind === "refused") {
              reject(notDowngradable());
            } else {
              // The ticket stands. Another member serves it, or will.
              reject(stands ? this.#servedElsewhere() : this.#notHeld(token));
            }
          },
          failed: (error) => {
            local?.renewalEnded(false);
            reject(error);
          },
          overdue: reject,
        },
      );
    });
  }

  /** @throws LockError `cluster-too-old` while a member is there that knows exclusive locks only */
  #requireKinds(): void {
    if (this.#fold.base.level < kindsLevel) {
      throw clusterTooOld();
    }
  }

  /** Why this node does not serve a ticket that is in the table. */
  #servedElsewhere(): LockError {
    if (this.#standing.stopping) {
      return shuttingDown();
    }
    return this.#standing.memberId === undefined ? notAMember() : superseded();
  }

  /** Runs the clock of a ticket that holds, after it has become this node's own or was given a full TTL. */
  #serveHold(ticket: Ticket, renewed?: LocalTicket): LocalTicket {
    const existing = this.#find(ticket);
    if (existing !== undefined) {
      if (existing.ticket !== ticket) {
        existing.followTicket(ticket);
      }
      if (existing !== renewed) {
        existing.dispatch("renewed");
      }
      return existing;
    }
    const { content, attempt, name, id } = ticket;
    const local = this.#add({ name, id, content, attempt, waitMs: undefined });
    local.state = "kept";
    local.followTicket(ticket);
    local.dispatch("renewed");
    return local;
  }

  /**
   * Serves tickets that are this node's own and that nobody here has asked for. Those whose holders may have been told
   * are kept for a full TTL.
   */
  #serveStrays(refs: readonly TicketRef[] | undefined): void {
    const tickets = refs?.map((ref) => this.#fold.get(ref)) ?? this.#fold.tickets();
    for (const ticket of tickets) {
      if (ticket !== undefined && ticket.follower === undefined && this.#host.isMember(ticket.memberId)) {
        this.#serveOrphan(ticket, { kind: ticket.holds ? "holds" : "waits", token: ticket.token, moved: true });
      }
    }
  }

  /**
   * Serves a ticket that nobody here wants, in order to remove it. If somebody has asked for it since, the outcome of
   * that request decides.
   */
  #serveOrphan({ name, id, content, attempt }: Ticket, outcome: Outcome): void {
    if (this.#standing.stopping && content.resumable) {
      // Its requester can ask for it at another member.
      return;
    }
    if (this.#unshown.get({ name, id }) === undefined) {
      const local = this.#add({ name, id, content, attempt, waitMs: undefined });
      local.state = "withdrawn";
      local.asked(0, outcome);
    }
  }

  #find(ticket: LockKey | TicketRequest | Ticket): LocalTicket | undefined {
    const follower = this.#fold.get(ticket)?.follower;
    return follower instanceof LocalTicket ? follower : this.#unshown.get(ticket);
  }

  #add(request: TicketRequest): LocalTicket {
    const local = new LocalTicket(this.#host, request);
    charge(local, request.account);
    this.#unshown.set(local);
    this.#size++;
    return local;
  }

  *#locals(): Generator<LocalTicket> {
    for (const { follower } of this.#fold.tickets()) {
      if (follower instanceof LocalTicket) {
        yield follower;
      }
    }
    yield* this.#unshown.values();
  }

  /** @throws LockError `cluster-too-old` */
  #contentOf(checked: CheckedClaim["content"], resumable: boolean): TicketContent {
    const { ttlMs, owner, permits, limit } = checked;
    const extras = this.#understood(checked);
    const last = this.#lastContent;
    if (
      last?.ttlMs === ttlMs &&
      last.owner === owner &&
      last.resumable === resumable &&
      last.permits === permits &&
      last.limit === limit &&
      isSame(last.extras, extras)
    ) {
      return last;
    }
    return (this.#lastContent = { ttlMs, owner, resumable, permits, limit, extras });
  }

  /** The extras that all servers understand: what only people read is left out until they do. */
  #understood(content: CheckedClaim["content"]): TicketExtras | undefined {
    const { extras } = content;
    if (isExclusive(content) && extras === undefined) {
      return undefined;
    }
    if (this.#fold.base.level >= kindsLevel) {
      return extras;
    }
    if (!isExclusive(content) || (extras !== undefined && (extras.others.length > 0 || extras.value !== ""))) {
      throw clusterTooOld();
    }
    return undefined;
  }

  #createHost(): TicketHost {
    const fold = this.#fold;
    return {
      fold,
      waiterGraceMs: this.#limits.waiterGraceMs,
      now: () => this.#clock.now(),
      setAlarm: (alarm, delayMs) => {
        this.#alarms.set(alarm, delayMs);
      },
      cancelAlarm: (alarm) => {
        this.#alarms.cancel(alarm);
      },
      append: (command, waiter, urgency) => {
        if (command.kind === "remove") {
          this.#underWay.remove(command, waiter, urgency);
        } else {
          this.#log.append(command, waiter, urgency);
        }
      },
      isMember: (memberId) => memberId === this.#standing.memberId,
      mayGrant: () => this.#standing.mayGrant,
      holdBack: (local) => {
        this.#heldBack.add(local);
      },
      shown: (local) => {
        this.#unshown.delete(local);
        this.#admission.seen(local);
      },
      orphaned: (ticket, outcome) => {
        this.#serveOrphan(ticket, outcome);
      },
      nested: (ticket) => {
        const requests = findDeadlock(fold, ticket)?.map(({ name, token, content }) => {
          return { lock: showLockName(name), token: String(token), owner: content.owner };
        });
        if (requests !== undefined) {
          this.#observer?.deadlock();
          this.#logger.warn(
            { requests },
            "deadlock: each of these requests waits for what the next one's requester holds",
          );
        }
      },
      forget: (local) => {
        this.#forget(local);
      },
      meterOf: (name) => this.#observer?.meterOf(name),
      expired: ({ name, ticket }) => {
        const token = ticket?.token.toString();
        this.#logger.info({ lock: showLockName(name), owner: ticket?.content.owner, token }, "lock expired");
      },
    };
  }

  #forget(local: ServedTicket): void {
    this.#admission.seen(local);
    this.#heldBack.delete(local);
    if (this.#unshown.get(local) === local) {
      this.#unshown.delete(local);
    }
    if (local.account !== undefined) {
      local.account.tickets--;
    }
    this.#size--;
    if (this.#size === 0) {
      this.#emptied?.();
    }
  }

  async #emptiedSoon(): Promise<void> {
    if (this.#size > 0) {
      await new Promise<void>((resolve) => (this.#emptied = resolve));
    }
  }
}

/** From now on, the ticket counts for that account. */
function charge(local: LocalTicket, account: TicketAccount | undefined): void {
  if (account !== undefined) {
    local.account = account;
    account.tickets++;
  }
}

function contentOf({ ticket }: LocalTicket): { readonly ttlMs: number } {
  return ticket?.content ?? { ttlMs: 0 };
}

/** Whether both say the same. Those of requests for several locks, or from within locks, differ. */
function isSame(one: TicketExtras | undefined, other: TicketExtras | undefined): boolean {
  if (one === undefined || other === undefined) {
    return one === other;
  }
  return hasLabelsOnly(one) && hasLabelsOnly(other) && JSON.stringify(one.labels) === JSON.stringify(other.labels);
}
