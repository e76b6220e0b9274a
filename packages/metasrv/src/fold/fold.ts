import type { FoldSnapshot, LogBase, LogFold } from "../log/command-log.js";
import {
  type AdoptCommand,
  type Command,
  commandsPerEntry,
  type CreateCommand,
  knownLevel,
  type LoggedEntry,
  type Outcome,
  type RemoveCommand,
  type RenewCommand,
  type StateHash,
  type TicketRef,
} from "../model/command.js";
import { FatalError } from "../model/fatal-error.js";
import type { LockState } from "../model/lock-errors.js";
import type { LockName } from "../model/lock-name.js";
import type { SnapshotPart } from "../model/snapshot.js";
import { LockTable } from "./lock-table.js";
import { SnapshotWalk } from "./snapshot-walk.js";
import { TableHash } from "./state-hash.js";
import { Ticket, type TicketFollower } from "./ticket.js";
import { Writers } from "./writers.js";

const done: Outcome = { kind: "done" };
const notThere: Outcome = { kind: "not-there" };
const refused: Outcome = { kind: "refused" };
const superseded: Outcome = { kind: "superseded" };

const places = BigInt(commandsPerEntry);

/** What an empty log begins with. */
const emptyBase: LogBase = { level: knownLevel, revision: 0n, revisionOffset: 0n };

/** Something that a follower is to be told. */
interface News {
  readonly ticket: Ticket;
  readonly what: "granted" | "moved" | "removed";
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
  #table = new LockTable();
  #hash = new TableHash();
  #writers = new Writers();
  /** What of a snapshot has come so far. */
  #loading: Ticket[] = [];
  #news: News[] = [];
  #walk: SnapshotWalk | undefined;
  #walks = 0;
  readonly #knownLevel: number;
  /** See {@link isOutdated}. */
  #outdatedBefore = 0n;

  /** @param known - the highest level that this node reads; another one than its version's in tests only */
  constructor(base: LogBase = emptyBase, known = knownLevel) {
    this.#knownLevel = known;
    this.#checkLevel(base.level);
    this.#base = base;
    this.#revision = base.revision;
    this.#hash.mark(base.revision);
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
  isFree(name: LockName): boolean {
    return this.#table.isFree(name);
  }

  /** Number of tickets that wait for a lock. */
  waiters(name: LockName): number {
    return this.#table.waiters(name);
  }

  /** Who holds a lock, and how many wait. */
  state(name: LockName): LockState {
    return this.#table.state(name);
  }

  /** All tickets, in no particular order. */
  tickets(): Generator<Ticket> {
    return this.#table.tickets();
  }

  fresh(base: LogBase): Fold {
    return new Fold(base, this.#knownLevel);
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
    this.#base = fresh.#base;
    this.#revision = fresh.#revision;
    this.#table = fresh.#table;
    this.#hash = fresh.#hash;
    this.#writers = fresh.#writers;
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
    for (const { ticket, what } of news) {
      switch (what) {
        case "granted":
          ticket.follower?.granted();
          break;
        case "moved":
          ticket.follower?.moved();
          break;
        case "removed":
          ticket.follower?.removed();
      }
    }
  }

  forgetMember(memberId: string): void {
    this.#writers.forget(memberId);
  }

  keepMembers(memberIds: ReadonlySet<string>): void {
    this.#writers.keepOnly(memberIds);
  }

  load({ tickets, writers }: SnapshotPart): void {
    for (const { name, id, token, content, memberId, attempt } of tickets) {
      this.#loading.push(new Ticket({ name, id }, token, content, memberId, attempt));
    }
    for (const writer of writers) {
      this.#writers.restore(writer);
    }
  }

  loaded(hash: StateHash): void {
    const tickets = this.#loading;
    this.#loading = [];
    this.#table.addAll(tickets);
    for (const ticket of tickets) {
      this.#hash.add(ticket);
    }
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
    if (command.try && !this.#table.isFree(command.name)) {
      return refused;
    }
    const token = this.#firstToken(revision) + BigInt(index);
    const ticket = new Ticket(command, token, command.content, writer, command.attempt);
    this.#table.add(ticket);
    this.#hash.add(ticket);
    return { kind: ticket.holds ? "holds" : "waits", token, moved: false };
  }

  #createAgain(ticket: Ticket, { content, attempt, try: impatient }: CreateCommand, writer: string): Outcome {
    if (attempt < ticket.attempt) {
      return superseded;
    }
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
    const { ttlMs } = command;
    this.#change(ticket, writer, ttlMs === 0 || ttlMs === content.ttlMs ? content : { ...content, ttlMs }, attempt);
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
    this.#drop(ticket);
    return done;
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
    ticket.memberId = memberId;
    ticket.content = content;
    ticket.attempt = attempt;
    this.#hash.add(ticket);
    if (moved && ticket.follower !== undefined) {
      this.#news.push({ ticket, what: "moved" });
    }
  }

  #drop(ticket: Ticket): void {
    this.#walk?.changing(ticket);
    this.#hash.subtract(ticket);
    const granted = this.#table.remove(ticket);
    if (ticket.follower !== undefined) {
      this.#news.push({ ticket, what: "removed" });
    }
    for (const next of granted) {
      this.#hash.granted(next);
      if (next.follower !== undefined) {
        this.#news.push({ ticket: next, what: "granted" });
      }
    }
  }

  /** Whoever followed a ticket before the table was read anew follows the same ticket now, if there is one. */
  #handOver(before: Ticket, follower: TicketFollower): void {
    const ticket = this.#table.get(before);
    if (ticket?.token !== before.token) {
      before.present = false;
      this.#news.push({ ticket: before, what: "removed" });
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
