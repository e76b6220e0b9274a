import type { FoldSnapshot, LogBase, LogFold } from "../log/command-log.js";
import {
  type AdoptCommand,
  type Command,
  commandsPerEntry,
  type CreateCommand,
  type ForceCommand,
  forcedKept,
  forcedKeptMs,
  type ForcedRecord,
  knownLevel,
  type LoggedEntry,
  type Outcome,
  type RemoveCommand,
  type RenewCommand,
  type StateHash,
} from "../model/command.js";
import { FatalError } from "../model/fatal-error.js";
import { type Holder, holdersShown, type LockState, placesCounted } from "../model/lock-errors.js";
import type { SnapshotPart } from "../model/snapshot.js";
import { extrasOf, isExclusive, isShared, type Share, shared, type TicketContent } from "../model/ticket-content.js";
import type { LockName, TicketRef } from "../model/ticket-ref.js";
import { type CreateQueue, type GroupOf, LockTable } from "./lock-table.js";
import type { NameOrder } from "./name-order.js";
import { type Queue, Ticket, type TicketFollower } from "./queue.js";
import { SnapshotWalk } from "./snapshot-walk.js";
import { TableHash } from "./state-hash.js";
import type { Tally } from "./tally.js";
import { Writers } from "./writers.js";

const done: Outcome = { kind: "done" };
const notThere: Outcome = { kind: "not-there" };
const refused: Outcome = { kind: "refused" };
const superseded: Outcome = { kind: "superseded" };

const places = BigInt(commandsPerEntry);

/** Something that a follower is to be told. */
interface News {
  readonly ticket: Ticket;
  readonly what: "granted" | "moved" | "removed";
  /** With `removed`, if it was removed by hand. */
  readonly forced?: ForcedRecord | undefined;
  /** With `granted`, who followed the ticket that gave way. */
  readonly by?: TicketFollower | undefined;
}

/** Told which locks change, and not how, while entries are applied. Must not change the table from within. */
export interface FoldObserver {
  /** Who holds a lock or waits for it has changed, or what they say of themselves. */
  changed(name: LockName): void;
  /** A request for a lock holds it from now on. */
  granted(name: LockName): void;
  /** The TTL of a holder has passed. */
  expired(name: LockName): void;
  /** The log was read anew: anything may have changed. */
  replaced(): void;
}

/**
 * The fold: entries in the order of the log go in; the table of who holds and who waits, and one outcome for each
 * command, come out. It is the only judge there is: pure, synchronous and deterministic, so that every node has the same.
 *
 * Followers of tickets are told by {@link tell} what entries have changed, not while they are applied.
 */
export class Fold implements LogFold {
  #base: LogBase;
  /** Of the last entry that was taken in, or the base's. */
  #revision: bigint;
  #table: LockTable;
  #hash = new TableHash();
  #writers = new Writers();
  /** What of a snapshot has come so far. */
  #loading: Ticket[] = [];
  #loadingForced: ForcedRecord[] = [];
  #news: News[] = [];
  /** Of tickets that were removed by hand, by their tokens, oldest first. */
  #forced = new Map<bigint, ForcedRecord>();
  #walk: SnapshotWalk | undefined;
  #walks = 0;
  readonly #knownLevel: number;
  readonly #groupOf: GroupOf | undefined;
  readonly #createQueue: CreateQueue | undefined;
  /** See {@link isOutdated}. */
  #outdatedBefore = 0n;
  /** When the entry that is being folded was seen, by {@link nowMs}. */
  #atMs = 0;
  /** When the log was read last. */
  #readAtMs = 0;
  /** Tells the time, in whole milliseconds, for people to read since when a ticket is there. No rule uses it. */
  nowMs: () => number = () => 0;
  /** Told what changes. */
  observer: FoldObserver | undefined = undefined;

  /**
   * @param base - where the log begins; absent: an empty log
   * @param known - the highest level that this node reads; another one than its version's in tests only
   * @param groupOf - by what the locks are counted, see {@link tally}; absent: they are not
   * @param createQueue - makes the queue of a lock; one with another rule in tests only
   */
  constructor(base?: LogBase, known = knownLevel, groupOf?: GroupOf, createQueue?: CreateQueue) {
    this.#knownLevel = known;
    this.#groupOf = groupOf;
    this.#createQueue = createQueue;
    this.#table = new LockTable(groupOf, createQueue);
    this.#base = base ?? { level: known, revision: 0n, revisionOffset: 0n };
    this.#checkLevel(this.#base.level);
    this.#revision = this.#base.revision;
    this.#hash.mark(this.#revision);
  }

  get base(): LogBase {
    return { ...this.#base, revision: this.#revision };
  }

  get hash(): StateHash {
    return { revision: this.#revision, low: this.#hash.low, high: this.#hash.high };
  }

  /** Number of tickets. */
  get size(): number {
    return this.#table.size;
  }

  /** The token that the next entry's first command gets, if its revision is the next one. */
  get nextToken(): bigint {
    return this.#firstToken(this.#revision + 1n);
  }

  /**
   * Whether another store took the place of the one in which this process saw higher tokens: a ticket with this one is not
   * to be granted any more. Not a part of the table: each process has its own memory.
   */
  isOutdated(token: bigint): boolean {
    return token < this.#outdatedBefore;
  }

  get(ticket: TicketRef): Ticket | undefined {
    return this.#table.get(ticket);
  }

  /** Whether a ticket that came now would hold at once. */
  admits(name: LockName, content: Share & Pick<TicketContent, "extras">): boolean {
    return (
      (this.#table.queue(name)?.admits(content) ?? true) &&
      (content.extras === undefined ||
        content.extras.others.every((part) => this.#table.queue(part.name)?.admits(part) ?? true))
    );
  }

  /** How many tickets of this share that came now would hold at once. */
  room(name: LockName, { permits, limit }: Share): number {
    const queue = this.#table.queue(name);
    if (queue === undefined) {
      return Math.floor(limit / permits);
    }
    return queue.waiting === undefined
      ? Math.max(0, Math.floor((Math.min(queue.limit, limit) - queue.permits) / permits))
      : 0;
  }

  /** Number of tickets that wait for a lock, those not counted that reserve it. */
  waiters(name: LockName): number {
    return waitersOf(this.#table.queue(name));
  }

  /** Who holds a lock, and how many wait. @param ticket - whose place among those that wait is counted */
  state(name: LockName, ticket?: Ticket): LockState {
    return this.#stateOf(this.#table.queue(name), ticket);
  }

  #stateOf(queue: Readonly<Queue> | undefined, ticket?: Ticket): LockState {
    const nowMs = this.nowMs();
    const holders: Holder[] = [];
    let holder = queue?.head;
    for (; holder?.admitted === true && holders.length < holdersShown; holder = holder.next) {
      const { token, content, main } = holder;
      const reserves = !holder.holds;
      const heldMs = nowMs - (reserves ? main.seenAtMs : main.heldAtMs);
      holders.push({ owner: main.content.owner, token, permits: content.permits, heldMs, reserves });
    }
    return {
      holderOwner: holders[0]?.owner ?? "",
      holderToken: holders[0]?.token ?? 0n,
      waiters: waitersOf(queue),
      holders,
      holderCount: queue?.holders ?? 0,
      permitsHeld: queue?.permits ?? 0,
      limit: queue?.limit ?? 0,
      position: ticket === undefined || ticket.admitted ? 0 : placeOf(ticket),
    };
  }

  /** Who stands in the way of a request: of several locks, the first that is not its own. @param ticket - its ticket, if any */
  obstacle(name: LockName, content: TicketContent, ticket?: Ticket): LockState {
    const others = content.extras?.others ?? [];
    if (others.length === 0) {
      return this.state(name, ticket);
    }
    const waiting = ticket?.parts.find(({ admitted }) => !admitted);
    const taken =
      waiting?.name ??
      [{ name, ...content }, ...others].find((part) => this.#table.queue(part.name)?.admits(part) === false)?.name ??
      name;
    return { ...this.state(taken, waiting), name: taken };
  }

  /**
   * How a lock is shared now that somebody holds.
   *
   * @returns the token of the first ticket, which no holder's token is below, and the limit that counts
   */
  sharing(name: LockName): { readonly floor: bigint; readonly limit: number } {
    const queue = this.#table.queue(name);
    return { floor: queue?.head?.token ?? 0n, limit: queue?.limit ?? 0 };
  }

  /** The tickets of a lock in the order of their places, those that hold first. */
  *queue(name: LockName): Generator<Ticket> {
    for (let ticket = this.#table.queue(name)?.head; ticket !== undefined; ticket = ticket.next) {
      yield ticket;
    }
  }

  /** How long the first waiter of a lock is seen to wait, in milliseconds; 0 when nobody waits. */
  oldestWaitMs(name: LockName): number {
    return this.#oldestWaitMs(this.#table.queue(name));
  }

  #oldestWaitMs(queue: Readonly<Queue> | undefined): number {
    return queue?.waiting === undefined ? 0 : this.nowMs() - queue.waiting.main.seenAtMs;
  }

  /** What is seen of a lock at once: {@link state}, the share of its first ticket if it has one, and {@link oldestWaitMs}. */
  glance(name: LockName): {
    readonly state: LockState;
    readonly share: Share | undefined;
    readonly oldestWaitMs: number;
  } {
    const queue = this.#table.queue(name);
    return { state: this.#stateOf(queue), share: queue?.head?.content, oldestWaitMs: this.#oldestWaitMs(queue) };
  }

  /** What the locks of a group come to on all nodes; undefined when there was none. Not kept by the next {@link become}. */
  tally(group: object): Readonly<Tally> | undefined {
    return this.#table.tally(group);
  }

  /** Whether the times of a ticket are only since the log was read. */
  wasThere(ticket: Ticket): boolean {
    return ticket.main.seenAtMs <= this.#readAtMs;
  }

  /** Tickets that were removed by hand, by their tokens, oldest first. */
  get forced(): ReadonlyMap<bigint, ForcedRecord> {
    return this.#forced;
  }

  /** Those that wait, or have waited, while their requesters hold the ticket with this token. */
  within(token: bigint): Iterable<Ticket> {
    return this.#table.within(token);
  }

  /** All that wait, or have waited, while their requesters hold something; one may come more than once. */
  nested(): Iterable<Ticket> {
    return this.#table.nested();
  }

  /** A ticket by one of its locks and its token. */
  at(name: LockName, token: bigint): Ticket | undefined {
    for (const ticket of this.queue(name)) {
      if (ticket.token === token) {
        return ticket.main;
      }
    }
    return undefined;
  }

  /** The names of all locks in their order; another one after the log was read anew, or {@link forgetNames}. */
  names(): NameOrder {
    return this.#table.names();
  }

  /** Nobody lists names any more. */
  forgetNames(): void {
    this.#table.forgetNames();
  }

  /** All tickets, in no particular order. */
  tickets(): Generator<Ticket> {
    return this.#table.tickets();
  }

  fresh(base: LogBase): Fold {
    const fold = new Fold(base, this.#knownLevel, this.#groupOf, this.#createQueue);
    fold.nowMs = this.nowMs;
    return fold;
  }

  become(fresh: LogFold, ofAnotherStore = false): void {
    if (!(fresh instanceof Fold)) {
      throw new TypeError("a fold becomes what fresh() made");
    }
    const before = this.#table;
    if (ofAnotherStore && this.nextToken > this.#outdatedBefore) {
      this.#outdatedBefore = this.nextToken;
    }
    this.#endWalk();
    this.#readAtMs = this.nowMs();
    this.#base = fresh.#base;
    this.#revision = fresh.#revision;
    this.#table = fresh.#table;
    this.#hash = fresh.#hash;
    this.#writers = fresh.#writers;
    this.#forced = fresh.#forced;
    this.observer?.replaced();
    for (const ticket of before.tickets()) {
      if (ticket.follower !== undefined) {
        this.#handOver(ticket, ticket.follower);
      }
    }
  }

  apply({ memberId, sequence, revision, entry }: LoggedEntry, live: boolean): readonly Outcome[] | undefined {
    this.#checkLevel(entry.level);
    if (this.#writers.has(memberId, sequence)) {
      return undefined;
    }
    // One that is not before the entry itself is of another store, whose place this one took.
    if (live && entry.seen !== undefined && entry.seen.revision < revision) {
      this.#checkHash(entry.seen, memberId);
    }
    this.#atMs = this.nowMs();
    const outcomes = entry.commands.map((command, index) => this.#execute(command, memberId, revision, index));
    this.#writers.applied(memberId, sequence, entry.settled, outcomes);
    this.#revision = revision;
    this.#hash.mark(revision);
    return outcomes;
  }

  outcomes(memberId: string, sequence: number): readonly Outcome[] | undefined {
    return this.#writers.outcomes(memberId, sequence);
  }

  foldedUpTo(memberId: string): number {
    return this.#writers.foldedUpTo(memberId);
  }

  tell(): void {
    if (this.#news.length === 0) {
      return;
    }
    const news = this.#news;
    this.#news = [];
    for (const { ticket, what, forced, by } of news) {
      switch (what) {
        case "granted":
          ticket.follower?.granted(by);
          break;
        case "moved":
          ticket.follower?.moved();
          break;
        case "removed":
          ticket.follower?.removed(forced);
      }
    }
  }

  forgetMember(memberId: string): void {
    this.#writers.forget(memberId);
  }

  keepMembers(memberIds: ReadonlySet<string>): void {
    this.#writers.keepOnly(memberIds);
  }

  load({ tickets, writers, forced }: SnapshotPart): void {
    for (const ticket of tickets) {
      this.#loading.push(new Ticket(ticket, ticket.token, ticket.content, ticket.memberId, ticket.attempt));
    }
    for (const writer of writers) {
      this.#writers.restore(writer);
    }
    this.#loadingForced.push(...forced);
  }

  loaded(hash: StateHash): void {
    this.#atMs = this.nowMs();
    const tickets = this.#loading;
    this.#loading = [];
    this.#table.addAll(tickets);
    for (const ticket of tickets) {
      ticket.seenAtMs = this.#atMs;
      ticket.heldAtMs = this.#atMs;
      this.#hash.add(ticket);
    }
    for (const record of this.#loadingForced.sort((a, b) => (a.place < b.place ? -1 : 1))) {
      this.#forced.set(record.token, record);
      this.#hash.addRecord(record);
    }
    this.#loadingForced = [];
    this.#hash.mark(this.#revision);
    if (this.#hash.low !== hash.low || this.#hash.high !== hash.high) {
      throw new FatalError(
        `the snapshot at revision ${this.#revision} is not what its base says that it is: it was damaged or written by ` +
          "a faulty server; restore etcd from a backup, or remove everything under the prefix if no lock is held",
      );
    }
  }

  snapshot(): FoldSnapshot {
    this.#endWalk();
    const walk = new SnapshotWalk({
      base: this.base,
      hash: this.hash,
      writers: this.#writers.progress(),
      forced: this.#forced.values(),
      tickets: this.#table.tickets(),
      firstLater: this.nextToken,
      number: ++this.#walks,
      ended: () => {
        if (this.#walk === walk) {
          this.#walk = undefined;
        }
      },
    });
    this.#walk = walk;
    return walk;
  }

  /** A walk that is not finished can no longer be: nobody tells it of changes any more. */
  #endWalk(): void {
    if (this.#walk !== undefined) {
      this.#walk.isValid = false;
      this.#walk = undefined;
    }
  }

  #execute(command: Command, writer: string, revision: bigint, index: number): Outcome {
    switch (command.kind) {
      case "create":
        return this.#create(command, writer, revision, index);
      case "remove":
        return this.#remove(command, writer);
      case "renew":
        return this.#renew(command, writer);
      case "adopt":
        return this.#adopt(command, writer);
      case "force":
        return this.#force(command, this.#firstToken(revision) + BigInt(index));
      case "raise-floor":
        return this.#raiseFloor(command.token, revision);
      case "raise-level":
        this.#checkLevel(command.level);
        this.#base = { ...this.#base, level: Math.max(this.#base.level, command.level) };
        return done;
    }
  }

  #create(command: CreateCommand, writer: string, revision: bigint, index: number): Outcome {
    const existing = this.#table.get(command);
    if (existing !== undefined) {
      return this.#createAgain(existing, command, writer);
    }
    if (command.try && !this.admits(command.name, command.content)) {
      return refused;
    }
    const token = this.#firstToken(revision) + BigInt(index);
    const ticket = new Ticket(command, token, command.content, writer, command.attempt);
    ticket.seenAtMs = this.#atMs;
    ticket.heldAtMs = this.#atMs;
    this.#table.add(ticket);
    this.#hash.add(ticket);
    this.#changed(ticket);
    if (ticket.holds) {
      this.observer?.granted(ticket.name);
    }
    return { kind: ticket.holds ? "holds" : "waits", token, moved: false };
  }

  #createAgain(ticket: Ticket, command: CreateCommand, writer: string): Outcome {
    const { attempt, try: impatient } = command;
    if (attempt < ticket.attempt) {
      return superseded;
    }
    const content = asIn(command.content, ticket.content);
    if (impatient && !ticket.holds) {
      // Whoever waits at another member is told that a later request took its place, not that its ticket was removed.
      this.#change(ticket, writer, ticket.content, attempt);
      this.#drop(ticket);
      return refused;
    }
    const moved = ticket.memberId !== writer;
    this.#change(ticket, writer, content, attempt);
    return { kind: ticket.holds ? "holds" : "waits", token: ticket.token, moved };
  }

  #renew(command: RenewCommand, writer: string): Outcome {
    const ticket = this.#find(command);
    if (ticket?.holds !== true) {
      return notThere;
    }
    const { content, attempt } = ticket;
    if (command.downgrade && (ticket.group !== undefined || !(isExclusive(content) || isShared(content)))) {
      return refused;
    }
    const ttlMs = command.ttlMs === 0 ? content.ttlMs : command.ttlMs;
    let renewed = ttlMs === content.ttlMs ? content : { ...content, ttlMs };
    if (command.downgrade) {
      renewed = asIn(renewed, { ...content, ...shared });
    }
    const { value } = command;
    if (value !== undefined && value !== (content.extras?.value ?? "")) {
      renewed = { ...renewed, extras: extrasOf({ ...content.extras, value }) };
    }
    this.#change(ticket, writer, renewed, attempt);
    return done;
  }

  #adopt(command: AdoptCommand, writer: string): Outcome {
    const ticket = this.#find(command);
    if (ticket?.memberId !== command.memberId) {
      return notThere;
    }
    this.#change(ticket, writer, ticket.content, ticket.attempt);
    return done;
  }

  #remove(command: RemoveCommand, writer: string): Outcome {
    const ticket = this.#find(command);
    if (ticket === undefined || !mayRemove(command, ticket, writer)) {
      return notThere;
    }
    if (command.cause === "expired" && ticket.holds) {
      this.observer?.expired(ticket.name);
    }
    this.#drop(ticket);
    return done;
  }

  #force({ name, token, actor, reason, unixMs }: ForceCommand, place: bigint): Outcome {
    const ticket = this.at(name, token);
    if (ticket === undefined) {
      return notThere;
    }
    const { owner } = ticket.content;
    const record = { name, token, actor, reason, unixMs, owner, held: ticket.holds, place };
    this.#drop(ticket, record);
    this.#forced.set(token, record);
    this.#hash.addRecord(record);
    this.#forgetForced(unixMs - forcedKeptMs);
    return done;
  }

  #forgetForced(beforeUnixMs: number): void {
    for (const [token, record] of this.#forced) {
      if (record.unixMs >= beforeUnixMs && this.#forced.size <= forcedKept) {
        return;
      }
      this.#forced.delete(token);
      this.#hash.subtractRecord(record);
    }
  }

  #raiseFloor(token: bigint, revision: bigint): Outcome {
    if (this.#firstToken(revision) <= token) {
      this.#base = { ...this.#base, revisionOffset: token / places + 1n - revision };
    }
    return done;
  }

  #find(command: TicketRef & { readonly token: bigint }): Ticket | undefined {
    const ticket = this.#table.get(command);
    return ticket?.token === command.token ? ticket : undefined;
  }

  #change(ticket: Ticket, memberId: string, content: Ticket["content"], attempt: number): void {
    if (ticket.memberId === memberId && ticket.content === content && ticket.attempt === attempt) {
      return;
    }
    this.#walk?.changing(ticket);
    this.#hash.subtract(ticket);
    const moved = ticket.memberId !== memberId;
    const { permits, limit } = ticket.content;
    const put = () => {
      ticket.memberId = memberId;
      ticket.content = content;
      ticket.attempt = attempt;
    };
    let granted: readonly Ticket[] = [];
    if (content.permits === permits && content.limit === limit) {
      put();
    } else {
      granted = this.#table.reshare(ticket, put);
    }
    this.#hash.add(ticket);
    this.#changed(ticket);
    if (moved && ticket.follower !== undefined) {
      this.#news.push({ ticket, what: "moved" });
    }
    this.#granted(granted, ticket.follower);
  }

  #drop(ticket: Ticket, forced?: ForcedRecord): void {
    this.#walk?.changing(ticket);
    this.#hash.subtract(ticket);
    const granted = this.#table.remove(ticket);
    this.#changed(ticket);
    if (ticket.follower !== undefined) {
      this.#news.push({ ticket, what: "removed", forced });
    }
    this.#granted(granted, ticket.follower);
  }

  #granted(tickets: readonly Ticket[], by: TicketFollower | undefined): void {
    for (const next of tickets) {
      next.heldAtMs = this.#atMs;
      this.#hash.granted(next);
      this.observer?.granted(next.name);
      if (next.group !== undefined) {
        this.#changed(next);
      }
      if (next.follower !== undefined) {
        this.#news.push({ ticket: next, what: "granted", by });
      }
    }
  }

  #changed(ticket: Ticket): void {
    if (this.observer !== undefined) {
      for (const { name } of ticket.parts) {
        this.observer.changed(name);
      }
    }
  }

  /** Whoever followed a ticket before the table was read anew follows the same ticket now, if there is one. */
  #handOver(before: Ticket, follower: TicketFollower): void {
    const ticket = this.#table.get(before);
    if (ticket?.token !== before.token) {
      before.present = false;
      const forced = this.#forced.get(before.token);
      this.#news.push({ ticket: before, what: "removed", forced });
      return;
    }
    before.follower = undefined;
    ticket.follower = follower;
    follower.replaced(ticket);
    if (ticket.memberId !== before.memberId) {
      this.#news.push({ ticket, what: "moved" });
    } else if (ticket.holds && !before.holds) {
      this.#news.push({ ticket, what: "granted" });
    }
  }

  #firstToken(revision: bigint): bigint {
    return (revision + this.#base.revisionOffset) * places;
  }

  #checkLevel(level: number): void {
    if (level > this.#knownLevel) {
      throw new FatalError(
        `the log is at level ${level}, and this version of metasrv knows levels up to ${this.#knownLevel}: a newer ` +
          "version has been running on this store; upgrade this server",
      );
    }
  }

  #checkHash(seen: StateHash, memberId: string): void {
    if (this.#hash.differs(seen)) {
      throw new FatalError(
        `this server and member ${memberId} have folded the same log into different tables, as of revision ` +
          `${seen.revision}: one of them is faulty. It ends itself before it grants anything more; start it again, and ` +
          "report this with the versions of both",
      );
    }
  }
}

/** A content with the share and the extras of another: the same object where these are its own. */
function asIn(content: TicketContent, { permits, limit, extras }: TicketContent): TicketContent {
  return content.permits === permits && content.limit === limit && content.extras === extras
    ? content
    : { ...content, permits, limit, extras };
}

function waitersOf(queue: Readonly<Queue> | undefined): number {
  return queue === undefined ? 0 : queue.size - queue.holders;
}

/** 1 for the first that waits; 0 where more than {@link placesCounted} are before it. */
function placeOf(ticket: Ticket): number {
  let place = 1;
  for (let before = ticket.previous; before?.admitted === false; before = before.previous) {
    if (++place > placesCounted) {
      return 0;
    }
  }
  return place;
}

function mayRemove({ cause, memberId }: RemoveCommand, ticket: Ticket, writer: string): boolean {
  switch (cause) {
    case "released":
      return ticket.holds;
    case "expired":
    case "cancelled":
      return ticket.memberId === writer;
    case "abandoned":
      return ticket.memberId === memberId;
  }
}
