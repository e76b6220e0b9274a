import type { Clock, Gather, Timer } from "@metasrv/wire";
import type { Logger } from "pino";
import { type Command, commandsPerEntry, type Outcome, type StateHash } from "../../model/command.js";
import { type LockError, notAMember, shuttingDown } from "../../model/lock-errors.js";
import type { CommandWaiter, Urgency } from "../command-log.js";
import { sizeOfCommand } from "../entry-codec.js";
import { Pauses } from "./attempts.js";
import { classifyEtcdError, storeFull, storeUnavailable } from "./etcd-errors.js";
import type { LogKeys } from "./keys.js";
import { EntryUnderWay, LogWriter, PendingCommand } from "./log-writer.js";
import type { EtcdHeader, EtcdTxn, EtcdTxnAnswer } from "./rpc/etcd-client.js";

/** What a committer works with. */
export interface CommitterOptions {
  readonly txn: (request: EtcdTxn) => Promise<EtcdTxnAnswer>;
  readonly keys: LogKeys;
  readonly clock: Clock;
  readonly random: () => number;
  readonly gather: Gather;
  readonly logger: Logger;
  readonly hosts: readonly string[];
  /** How long a command is tried, in milliseconds. */
  readonly requestTimeoutMs: number;
  /** How many attempts at writing may be under way at a time. */
  readonly maxInFlight: number;
  /** The level at which entries are written, and what the table is now. */
  readonly state: () => { readonly level: number; readonly seen: StateHash | undefined };
  /** Where the log is, as known when a request is sent; etcd's answer is held against it. */
  readonly delivered: () => bigint;
  /** etcd has answered; `deliveredAtMost` is what {@link delivered} was when it was asked. */
  readonly heard: (header: EtcdHeader, deliveredAtSending: bigint) => void;
  /** An entry is in the log at this revision. */
  readonly committed: (entry: EntryUnderWay, revision: bigint) => void;
  /** etcd has answered a write, after so long and with so many commands. */
  readonly entryWritten?: ((tookMs: number, commands: number) => void) | undefined;
  /** etcd does not have this process's own member key. */
  readonly memberGone: (memberId: string) => void;
}

/** etcd's default bound on a request is 1.5 MiB. */
const maxEntryBytes = 1024 * 1024;

/** How long commands that are in no hurry wait for others to go out with, in milliseconds, and how many do. */
const unhurriedMs = 2;
const unhurriedCommands = 16;

/**
 * Group commit: the commands that are asked for in one turn of the event loop, or while as many entries are being written
 * as may be, go out together in the next entry. One that others wait for goes out with what is there already.
 *
 * An entry is written until it is known whether it is in the log. Writing it compares that the member's key is there and
 * the entry's is not, so to write it once more does nothing, and a member that is gone writes nothing.
 */
export class Committer {
  readonly #options: CommitterOptions;
  readonly #pauses: Pauses;
  #queue: PendingCommand[] = [];
  /** How many of the queue are in a hurry. */
  #hurried = 0;
  /** Goes out before everything else. */
  #first: PendingCommand | undefined;
  /** Is being written, and nothing else goes out before it is in the log. */
  #firstEntry: EntryUnderWay | undefined;
  #writer: LogWriter | undefined;
  /** Those with entries under way, by their members. */
  readonly #writers = new Map<string, LogWriter>();
  #maxBytes = maxEntryBytes;
  #inFlight = 0;
  #sendScheduled = false;
  #hurryTimer: Timer | undefined;
  /** After a failure: no new entry goes out until a pause has passed. */
  #pausing = false;
  #closed = false;

  constructor(options: CommitterOptions) {
    this.#options = options;
    this.#pauses = new Pauses(options.clock, options.random);
  }

  /** See `CommandLog.append`. */
  append(command: Command, waiter: CommandWaiter, urgency: Urgency): void {
    if (this.#closed || this.#writer === undefined) {
      const error = this.#closed ? shuttingDown() : notAMember();
      queueMicrotask(() => {
        waiter.failed(error);
      });
      return;
    }
    const { clock, requestTimeoutMs } = this.#options;
    this.#queue.push(new PendingCommand(command, waiter, clock.now() + requestTimeoutMs));
    if (urgency !== "later") {
      this.#hurried++;
    }
    this.#scheduleSend(urgency === "now");
  }

  /**
   * This process is another member from now on.
   *
   * @param revision - at which its key was put
   * @param first - a command that must be in the log before any other
   */
  joined(memberId: string, revision: bigint, first: Command | undefined): void {
    this.#writer = new LogWriter(memberId, revision);
    this.#writers.set(memberId, this.#writer);
    const nobody = { settled: ignore, failed: ignore, overdue: ignore };
    this.#first = first && new PendingCommand(first, nobody, Number.POSITIVE_INFINITY);
    this.#scheduleSend();
  }

  /** This process is no member any more: what was not sent fails; what was is written, or known to be gone, in time. */
  left(): void {
    this.#writer = undefined;
    this.#first = undefined;
    this.#failQueue(notAMember());
  }

  /** How many entries are being written. */
  get entriesUnderWay(): number {
    return this.#inFlight;
  }

  /** Whether this process became the member that it is at or before the revision. */
  joinedBy(revision: bigint): boolean {
    return this.#writer !== undefined && this.#writer.joinedAtRevision <= revision;
  }

  /** The entry of this process, if it is under way. */
  find(memberId: string, sequence: number): EntryUnderWay | undefined {
    return this.#writers.get(memberId)?.underWay.find((entry) => entry.sequence === sequence);
  }

  /** The outcomes of an entry's commands are known. */
  settle(entry: EntryUnderWay, outcomes: readonly Outcome[]): void {
    this.#end(entry);
    entry.pending.forEach((pending, index) => {
      const outcome = outcomes[index];
      if (outcome !== undefined) {
        pending.settle(outcome);
      }
    });
  }

  /** A member is gone: what it has not written by now, it never will. */
  memberGone(memberId: string): void {
    const writer = this.#writers.get(memberId);
    if (writer !== undefined) {
      for (const entry of [...writer.underWay]) {
        this.#fail(entry, notAMember());
      }
      this.#writers.delete(memberId);
    }
  }

  /**
   * The log was read anew: entries that are in it are settled, those of members that are gone fail.
   *
   * @param revision - that of the listing; absent when it is of another store than before
   * @param outcomes - of an entry that is in the log
   */
  listed(
    members: ReadonlySet<string>,
    revision: bigint | undefined,
    outcomes: (entry: EntryUnderWay) => readonly Outcome[] | undefined,
  ): void {
    for (const writer of [...this.#writers.values()]) {
      for (const entry of [...writer.underWay]) {
        if (revision === undefined) {
          entry.forgetSeen();
        }
        const known = outcomes(entry);
        if (known !== undefined) {
          this.settle(entry, known);
        }
      }
      const couldBeListed = revision === undefined || writer.joinedAtRevision <= revision;
      if (couldBeListed && !members.has(writer.memberId)) {
        this.memberGone(writer.memberId);
      }
    }
  }

  /** Fails what is not settled, and everything from now on. */
  close(): void {
    this.#closed = true;
    this.#hurryTimer?.cancel();
    this.#pauses.close();
    this.#failQueue(shuttingDown());
    for (const writer of this.#writers.values()) {
      for (const entry of [...writer.underWay]) {
        this.#fail(entry, shuttingDown());
      }
    }
  }

  #maySend(): boolean {
    const { maxInFlight } = this.#options;
    return (
      (this.#queue.length > 0 || this.#first !== undefined) &&
      this.#inFlight < maxInFlight &&
      this.#firstEntry === undefined &&
      !this.#pausing &&
      !this.#closed &&
      this.#writer !== undefined
    );
  }

  /**
   * Whether all that may go out is in no hurry. On a busy lock, the next unlock is about to come: what goes out before it,
   * alone, keeps etcd busy when it does.
   */
  #isUnhurried(): boolean {
    return this.#hurried === 0 && this.#queue.length < unhurriedCommands && this.#first === undefined;
  }

  #scheduleSend(urgent = false): void {
    if (!this.#maySend() || (this.#sendScheduled && !urgent)) {
      return;
    }
    if (this.#isUnhurried()) {
      this.#hurryTimer ??= this.#options.clock.after(unhurriedMs, () => {
        this.#hurryTimer = undefined;
        this.#hurried = this.#queue.length;
        this.#scheduleSend();
      });
      return;
    }
    this.#sendScheduled = true;
    this.#options.gather(() => {
      this.#sendScheduled = false;
      this.#send();
    }, urgent);
  }

  #send(): void {
    while (this.#maySend() && !this.#isUnhurried()) {
      this.#hurryTimer?.cancel();
      this.#hurryTimer = undefined;
      const writer = this.#writer;
      if (writer === undefined) {
        return;
      }
      void this.#write(writer, this.#make(writer));
    }
  }

  /** Makes the next entry of what is there. */
  #make(writer: LogWriter): EntryUnderWay {
    const { keys, state } = this.#options;
    const pending = this.#first === undefined ? this.#take() : [this.#first];
    const sequence = writer.next();
    const entry = { ...state(), settled: writer.settled, commands: pending.map(({ command }) => command) };
    const { memberId } = writer;
    const where = { memberId, sequence, key: keys.entry(memberId, sequence) };
    const made = new EntryUnderWay(where, entry, pending);
    writer.underWay.push(made);
    if (this.#first !== undefined) {
      this.#first = undefined;
      this.#firstEntry = made;
    }
    return made;
  }

  #take(): PendingCommand[] {
    let bytes = 0;
    let count = 0;
    for (const { command } of this.#queue) {
      bytes += sizeOfCommand(command);
      if (count === commandsPerEntry || (count > 0 && bytes > this.#maxBytes)) {
        break;
      }
      count++;
    }
    this.#hurried = Math.max(0, this.#hurried - count);
    if (count === this.#queue.length) {
      const all = this.#queue;
      this.#queue = [];
      this.#hurried = 0;
      return all;
    }
    return this.#queue.splice(0, count);
  }

  /** Writes an entry until it is known whether it is in the log. */
  async #write(writer: LogWriter, entry: EntryUnderWay): Promise<void> {
    this.#inFlight++;
    while (this.#isUnderWay(entry)) {
      const startedAtMs = this.#options.clock.now();
      const delivered = this.#options.delivered();
      let answer: EtcdTxnAnswer;
      try {
        answer = await this.#options.txn(this.#requestFor(entry));
      } catch (error) {
        this.#attemptFailed(entry, error);
        if (this.#isUnderWay(entry)) {
          this.#pausing = true;
          await this.#pauses.wait(startedAtMs);
          this.#pausing = false;
          this.#scheduleSend();
        }
        continue;
      }
      this.#options.entryWritten?.(this.#options.clock.now() - startedAtMs, entry.pending.length);
      this.#answered(writer, entry, answer, delivered);
      break;
    }
    this.#inFlight--;
    if (this.#firstEntry === entry) {
      this.#firstEntry = undefined;
    }
    this.#scheduleSend();
  }

  #isUnderWay({ over }: EntryUnderWay): boolean {
    return !over && !this.#closed;
  }

  #requestFor({ memberId, key, value }: EntryUnderWay): EtcdTxn {
    const memberKey = this.#options.keys.member(memberId);
    return {
      compare: [
        { key: memberKey, target: "create", result: "greater", revision: 0n },
        { key, target: "create", result: "equal", revision: 0n },
      ],
      success: [{ kind: "put", key, value }],
      failure: [
        { kind: "range", key, keysOnly: true },
        { kind: "range", key: memberKey, keysOnly: true },
      ],
    };
  }

  #answered(
    writer: LogWriter,
    entry: EntryUnderWay,
    { header, succeeded, read }: EtcdTxnAnswer,
    delivered: bigint,
  ): void {
    this.#pauses.reset();
    this.#options.heard(header, delivered);
    if (succeeded) {
      this.#options.committed(entry, header.revision);
      return;
    }
    const there = read[0]?.[0];
    if (there !== undefined) {
      // An earlier attempt was successful.
      this.#options.committed(entry, there.modRevision);
    } else {
      // What an earlier attempt did, if anything, is in the log before the member's end.
      this.#options.memberGone(writer.memberId);
    }
  }

  #attemptFailed(entry: EntryUnderWay, error: unknown): void {
    const { hosts, logger } = this.#options;
    const failure = classifyEtcdError(error);
    const refused = failure !== "unknown" && !entry.uncertain && entry !== this.#firstEntry;
    entry.uncertain ||= failure === "unknown";
    entry.forgetSeen();
    if (refused && failure === "full") {
      this.#fail(entry, storeFull(error));
    } else if (refused && entry.pending.length === 1) {
      this.#fail(entry, storeUnavailable(hosts, error));
    } else if (refused) {
      this.#maxBytes = Math.max(1, Math.floor(entry.value.length / 2));
      logger.warn(
        { err: error, bytes: entry.value.length },
        "etcd refuses requests of this size, as by a low --max-request-bytes; smaller ones are written",
      );
      this.#end(entry);
      this.#queue.unshift(...entry.pending);
      this.#hurried += entry.pending.length;
    } else {
      logger.debug({ err: error, commands: entry.pending.length }, "writing an entry failed");
    }
    this.#tellLate(error);
  }

  /** Whoever waits for longer than is allowed is told. What is not on its way yet does not set out any more. */
  #tellLate(error: unknown): void {
    const { clock, hosts } = this.#options;
    const nowMs = clock.now();
    for (const writer of this.#writers.values()) {
      for (const { pending } of writer.underWay) {
        for (const one of pending) {
          if (one.deadlineMs <= nowMs) {
            one.late(storeUnavailable(hosts, error));
          }
        }
      }
    }
    const late = this.#queue.filter(({ deadlineMs }) => deadlineMs <= nowMs);
    if (late.length > 0) {
      this.#queue = this.#queue.filter(({ deadlineMs }) => deadlineMs > nowMs);
      this.#hurried = this.#queue.length;
      for (const one of late) {
        one.fail(storeUnavailable(hosts, error));
      }
    }
  }

  #fail(entry: EntryUnderWay, error: LockError): void {
    this.#end(entry);
    for (const pending of entry.pending) {
      pending.fail(error);
    }
  }

  #end(entry: EntryUnderWay): void {
    const writer = this.#writers.get(entry.memberId);
    if (writer === undefined) {
      entry.over = true;
      return;
    }
    writer.end(entry);
    if (writer.underWay.length === 0 && writer !== this.#writer) {
      this.#writers.delete(writer.memberId);
    }
  }

  #failQueue(error: LockError): void {
    const queue = this.#queue;
    this.#queue = [];
    this.#hurried = 0;
    for (const pending of queue) {
      pending.fail(error);
    }
  }
}

function ignore(): void {
  // Nobody waits for it.
}
