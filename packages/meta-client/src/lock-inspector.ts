import { checkBoolean, checkObject, checkText, invalid } from "./argument-checks.js";
import type { LockCalls } from "./lock-calls.js";
import {
  type BlockedLock,
  type Deadlock,
  type ForcedRelease,
  type LockInfo,
  type LockSummary,
  readBlocked,
  readDeadlock,
  readForced,
  readLock,
  readName,
  readSummary,
  readTicket,
  type TicketInfo,
} from "./lock-info.js";
import { type LockName, toWireName } from "./lock-name.js";
import { UnexpectedError } from "./meta-errors.js";
import { Buffer } from "./platform.js";

/** Options of {@link LockInspector.get}. */
export interface GetLockOptions {
  /** See at least what was committed when the grant with this token was told. Default: what the server has now. */
  readonly minToken?: bigint | undefined;
  /** How many tickets to show, 250 at most. Default: 100. */
  readonly maxTickets?: number | undefined;
}

/** Options of {@link LockInspector.list}. */
export interface ListLocksOptions {
  /** Only locks whose names begin with this. Default: all. */
  readonly prefix?: LockName | undefined;
  /** Only locks that somebody waits for. Default: false. */
  readonly waitingOnly?: boolean | undefined;
  /** As in {@link GetLockOptions}. */
  readonly minToken?: bigint | undefined;
}

/** Options of {@link LockInspector.watch}. */
export interface WatchLockOptions {
  /** How many tickets to show, 250 at most. Default: 100. */
  readonly maxTickets?: number | undefined;
  /** Ends the watch when it aborts: it rejects with the reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of {@link LockInspector.watchAll}. */
export interface WatchLocksOptions {
  /** Only locks whose names begin with this. Default: all. */
  readonly prefix?: LockName | undefined;
  /** Ends the watch when it aborts: it rejects with the reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What a watch of many locks tells at a time. */
export interface LockChanges {
  /** Locks that are there, or have changed. */
  readonly locks: readonly LockSummary[];
  /** Locks that nobody holds or waits for any more. */
  readonly removed: readonly LockName[];
  /** Whether all locks that were there at the beginning have been told by now. */
  readonly complete: boolean;
}

/** Options of {@link LockInspector.blocked}. */
export interface BlockedOptions {
  /** Only locks whose names begin with this. Default: all. */
  readonly prefix?: LockName | undefined;
  /** Only those for which somebody has waited so long, in milliseconds. Default: 0. */
  readonly minWaitMs?: number | undefined;
}

/** Options of {@link LockInspector.force}. */
export interface ForceOptions {
  /** Why, 1 to 256 bytes: the holder is told, and it is kept. */
  readonly reason: string;
  /** Who does it, 256 bytes at most. Default: the client's `owner`. */
  readonly actor?: string | undefined;
  /** Do nothing, and show the ticket only. Default: false. */
  readonly dryRun?: boolean | undefined;
}

const pageSize = 250;

/** Shows which locks there are, who holds them and who waits, and takes them away by force. */
export class LockInspector {
  readonly #calls: LockCalls;
  readonly #actor: string;

  /** @param actor - who uses force, unless it says otherwise */
  constructor(calls: LockCalls, actor: string) {
    this.#calls = calls;
    this.#actor = actor;
  }

  /**
   * Shows one lock with its queue. A lock that nobody holds is shown without tickets.
   *
   * @throws InvalidArgumentError, UnavailableError, ClosedError
   */
  async get(name: LockName, options: GetLockOptions = {}): Promise<LockInfo> {
    checkObject("options", options, "an object such as { maxTickets: 10 }");
    const request = {
      lock: toWireName(name),
      minToken: checkToken("minToken", options.minToken ?? 0n),
      ...checkMaxTickets(options.maxTickets),
    };
    // Read within the call, so that another endpoint is asked when this one shows no lock.
    return this.#calls.inspect("show a lock", async (inspections, call) => {
      return readLock(await inspections.getLock(request, call));
    });
  }

  /**
   * Shows the locks that somebody holds, in the order of the bytes of their names, as they are asked for: a page of them at a
   * time. It is no snapshot: a lock that comes or goes meanwhile may or may not be shown; all others are shown once.
   *
   * @throws as {@link get}
   */
  async *list(options: ListLocksOptions = {}): AsyncGenerator<LockSummary, void, undefined> {
    checkObject("options", options, 'an object such as { prefix: "orders/" }');
    const request = {
      beginning: beginningOf(options.prefix),
      waitingOnly: checkBoolean("waitingOnly", options.waitingOnly) ?? false,
      pageSize,
      minToken: checkToken("minToken", options.minToken ?? 0n),
    };
    yield* pages(async (pageToken) => {
      const { locks, nextPageToken } = await this.#calls.inspect("list the locks", (inspections, call) => {
        return inspections.listLocks({ ...request, pageToken }, call);
      });
      return { rows: locks.map(readSummary), nextPageToken };
    });
  }

  /**
   * Shows one lock with its queue, and again whenever that has changed, at most 10 times a second: what was between is left
   * out. It goes on over failures of servers, and ends only when none can be reached
   * for `unavailableAfterMs`.
   *
   * @throws as {@link get}; the reason of `signal` once that aborts
   */
  async *watch(name: LockName, options: WatchLockOptions = {}): AsyncGenerator<LockInfo, void, undefined> {
    checkObject("options", options, "an object such as { signal }");
    const request = { lock: toWireName(name), ...checkMaxTickets(options.maxTickets) };
    const purpose = "watch a lock";
    const shown = this.#calls.follow(
      purpose,
      (inspections, call) => inspections.watchLock(request, call),
      options.signal,
    );
    for await (const response of shown) {
      yield readLock(response);
    }
  }

  /**
   * Tells of all locks whose names begin with a prefix, and then of those that change, at most 10 times a second: what was
   * between is left out. It goes on over failures of servers, and ends only when none can be reached
   * for `unavailableAfterMs`.
   *
   * @throws as {@link watch}
   */
  async *watchAll(options: WatchLocksOptions = {}): AsyncGenerator<LockChanges, void, undefined> {
    checkObject("options", options, 'an object such as { prefix: "orders/" }');
    const request = { beginning: beginningOf(options.prefix) };
    // By names as texts: those that were told, and those that were told since the last beginning.
    const known = new Map<string, LockName>();
    let begun = new Set<string>();
    const begin = (): void => {
      begun = new Set();
    };
    const told = this.#calls.follow(
      "watch the locks",
      (inspections, call) => inspections.watchLocks(request, call),
      options.signal,
      begin,
    );
    let isComplete = false;
    for await (const { locks, removed, complete, restarted } of told) {
      if (restarted) {
        begin();
      }
      const gone = removed.map(readName).filter((name) => known.has(keyOf(name)));
      for (const { name } of locks.map(readSummary)) {
        known.set(keyOf(name), name);
        begun.add(keyOf(name));
      }
      for (const name of gone) {
        known.delete(keyOf(name));
      }
      if (complete) {
        for (const [key, name] of known) {
          if (!begun.has(key)) {
            gone.push(name);
            known.delete(key);
          }
        }
      }
      // What came and went since the last message says nothing to who was not told of it.
      if (locks.length > 0 || gone.length > 0 || (complete && !isComplete)) {
        isComplete ||= complete;
        yield { locks: locks.map(readSummary), removed: gone, complete: isComplete };
      }
    }
  }

  /**
   * Shows the locks that somebody waits for, in the order of the bytes of their names, with who is first to wait and who holds.
   *
   * @throws as {@link get}
   */
  async *blocked(options: BlockedOptions = {}): AsyncGenerator<BlockedLock, void, undefined> {
    yield* pages(async (pageToken) => {
      const { locks, nextPageToken } = await this.#blocked(options, pageToken, pageSize);
      return { rows: locks.map(readBlocked), nextPageToken };
    });
  }

  /**
   * Shows the deadlocks: requests that wait for each other and will wait for ever, as far as requesters have said what they
   * hold. Requests inside of `withLock` and its kin do, if the client has `trackNesting`.
   *
   * @throws as {@link get}
   */
  async deadlocks(): Promise<readonly Deadlock[]> {
    const { deadlocks } = await this.#blocked({}, "", 1);
    return deadlocks.map(readDeadlock);
  }

  /**
   * Takes a lock away from its holder, or ends the wait of a request, by the fencing token of the ticket. The holder's `signal`
   * aborts at once. It may be at work, and only a resource that checks fencing tokens refuses what it still writes.
   *
   * @returns the ticket as it stood
   * @throws LockLostError when the lock has no ticket with this token any more; else as {@link get}
   */
  async force(name: LockName, token: bigint, options: ForceOptions): Promise<TicketInfo> {
    checkObject("options", options, 'an object such as { reason: "the host is gone" }');
    const { dryRun } = options;
    const request = {
      lock: toWireName(name),
      token: checkToken("token", token),
      reason: checkText("reason", options.reason) ?? "",
      actor: checkText("actor", options.actor) ?? this.#actor,
      dryRun: checkBoolean("dryRun", dryRun) ?? false,
    };
    const { ticket } = await this.#calls.inspect("release a lock by force", (inspections, call) => {
      return inspections.forceRelease(request, call);
    });
    if (ticket === undefined) {
      throw new UnexpectedError("The server showed no ticket. Check that it is not newer than this client.");
    }
    return readTicket(ticket);
  }

  /**
   * Shows the records of releases by force, the latest first. They are kept for 7 days.
   *
   * @throws as {@link get}
   */
  async *forced(): AsyncGenerator<ForcedRelease, void, undefined> {
    yield* pages(async (pageToken) => {
      const { releases, nextPageToken } = await this.#calls.inspect("list releases by force", (inspections, call) => {
        return inspections.listForced({ pageSize, pageToken }, call);
      });
      return { rows: releases.map(readForced), nextPageToken };
    });
  }

  async #blocked(options: BlockedOptions, pageToken: string, size: number) {
    checkObject("options", options, "an object such as { minWaitMs: 1000 }");
    const { prefix, minWaitMs = 0 } = options;
    if (!(Number.isSafeInteger(minWaitMs) && minWaitMs >= 0)) {
      throw invalid("minWaitMs", "a whole number of milliseconds, 0 or more", minWaitMs);
    }
    const request = { beginning: beginningOf(prefix), minWaitMs: BigInt(minWaitMs), pageSize: size, pageToken };
    return this.#calls.inspect("list who waits", (inspections, call) => inspections.listBlocked(request, call));
  }
}

/** All rows of all pages, each page asked for when it is needed. */
async function* pages<Row>(
  read: (pageToken: string) => Promise<{ readonly rows: readonly Row[]; readonly nextPageToken: string }>,
): AsyncGenerator<Row, void, undefined> {
  let pageToken = "";
  do {
    const { rows, nextPageToken } = await read(pageToken);
    yield* rows;
    pageToken = nextPageToken;
  } while (pageToken !== "");
}

function keyOf(name: LockName): string {
  return typeof name === "string" ? `t${name}` : `b${Buffer.from(name).toString("hex")}`;
}

type Beginning =
  | { readonly case: "prefix"; readonly value: string }
  | { readonly case: "prefixBytes"; readonly value: Uint8Array }
  | { readonly case: undefined };

function beginningOf(prefix: LockName | undefined): Beginning {
  if (prefix === undefined || prefix.length === 0) {
    return { case: undefined };
  }
  const name = toWireName(prefix);
  return name.case === "name" ? { case: "prefix", value: name.value } : { case: "prefixBytes", value: name.value };
}

function checkMaxTickets(maxTickets: unknown): { maxTickets?: number } {
  if (maxTickets === undefined) {
    return {};
  }
  if (typeof maxTickets === "number" && Number.isSafeInteger(maxTickets) && maxTickets >= 1 && maxTickets <= 250) {
    return { maxTickets };
  }
  throw invalid("maxTickets", "a whole number from 1 to 250", maxTickets);
}

function checkToken(argument: string, token: unknown): bigint {
  if (typeof token === "bigint" && token >= 0n && token < 1n << 63n) {
    return token;
  }
  throw invalid(argument, "the token of a grant, a bigint", token);
}
