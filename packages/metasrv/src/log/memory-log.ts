import { type Command, commandsPerEntry, knownLevel } from "../model/command.js";
import type { Fatal } from "../model/fatal-error.js";
import { shuttingDown } from "../model/lock-errors.js";
import type { Member } from "../model/member.js";
import type { CommandLog, CommandWaiter, LogFold, LogListener, MembershipListener } from "./command-log.js";

/** What a memory log is made with. */
export interface MemoryLogOptions {
  /** Ends the process when the fold fails. */
  readonly fatal: Fatal;
  /**
   * Unix time in milliseconds, from which the first token is made, so that tokens rise across restarts of the process.
   * By default the system's.
   */
  readonly startedUnixMs?: number;
}

/** Entries a millisecond, at most: faster than that, tokens would fall behind those of the next start. */
const revisionsPerMs = 100;

const memberId = "memory";

/**
 * A log that lives as long as this process: the embedded default, with nothing to install. It commits what is asked for
 * in one turn of the event loop together, as the replicated log does.
 */
export function createMemoryLog(options: MemoryLogOptions): CommandLog {
  return new MemoryLog(options);
}

/** A command that was asked for in this turn of the event loop. */
interface PendingCommand {
  readonly command: Command;
  readonly waiter: CommandWaiter;
}

class MemoryLog implements CommandLog {
  readonly #fatal: Fatal;
  readonly #startedUnixMs: number;
  #revision: bigint;
  #sequence = 0;
  #fold: LogFold | undefined;
  #listener: LogListener | undefined;
  #pending: PendingCommand[] = [];
  #closed = false;

  constructor({ fatal, startedUnixMs = Date.now() }: MemoryLogOptions) {
    this.#fatal = fatal;
    this.#startedUnixMs = startedUnixMs;
    this.#revision = BigInt(Math.floor(startedUnixMs)) * BigInt(revisionsPerMs);
  }

  open(fold: LogFold, listener: LogListener): Promise<void> {
    fold.become(fold.fresh({ level: knownLevel, revision: this.#revision, revisionOffset: 0n }));
    this.#fold = fold;
    this.#listener = listener;
    listener.members([]);
    return Promise.resolve();
  }

  append(command: Command, waiter: CommandWaiter): void {
    this.#pending.push({ command, waiter });
    if (this.#pending.length === 1) {
      queueMicrotask(() => {
        this.#commit();
      });
    }
  }

  catchUp(): Promise<void> {
    return Promise.resolve();
  }

  lag(): undefined {
    return undefined;
  }

  join(member: Omit<Member, "level">, listener: MembershipListener): Promise<void> {
    listener.joined(memberId);
    listener.extended(Infinity);
    const createRevision = BigInt(Math.floor(this.#startedUnixMs));
    this.#listener?.members([{ id: memberId, member: { ...member, level: knownLevel }, createRevision }]);
    return Promise.resolve();
  }

  leave(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#commit();
    return Promise.resolve();
  }

  #commit(): void {
    const pending = this.#pending;
    this.#pending = [];
    for (let start = 0; start < pending.length; start += commandsPerEntry) {
      const batch = pending.slice(start, start + commandsPerEntry);
      if (this.#closed || this.#fold === undefined) {
        for (const one of batch) {
          one.waiter.failed(shuttingDown());
        }
      } else {
        this.#apply(this.#fold, batch);
      }
    }
  }

  #apply(fold: LogFold, batch: readonly PendingCommand[]): void {
    try {
      const commands = batch.map(({ command }) => command);
      const entry = { level: knownLevel, settled: this.#sequence, seen: undefined, commands };
      const outcomes =
        fold.apply({ memberId, sequence: ++this.#sequence, revision: ++this.#revision, entry }, true) ?? [];
      outcomes.forEach((outcome, index) => batch[index]?.waiter.settled(outcome));
      fold.tell();
    } catch (error) {
      this.#closed = true;
      this.#fatal(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
