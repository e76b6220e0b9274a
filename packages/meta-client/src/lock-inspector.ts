import { checkBoolean, checkObject, invalid, type LockName, toWireName } from "./lock-arguments.js";
import type { LockCalls } from "./lock-calls.js";
import type { ListLocks, LockInfo, LockSummary } from "./lock-info.js";

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

const pageSize = 250;

/** Shows which locks there are, who holds them and who waits. */
export class LockInspector {
  readonly #calls: LockCalls;

  constructor(calls: LockCalls) {
    this.#calls = calls;
  }

  /**
   * Shows one lock with its queue. A lock that nobody holds is shown without tickets.
   *
   * @throws InvalidArgumentError, UnavailableError, ClosedError
   */
  async get(name: LockName, options: GetLockOptions = {}): Promise<LockInfo> {
    checkObject("options", options, "an object such as { maxTickets: 10 }");
    const { maxTickets } = options;
    if (maxTickets !== undefined && !(Number.isSafeInteger(maxTickets) && maxTickets >= 1 && maxTickets <= 250)) {
      throw invalid("maxTickets", "a whole number from 1 to 250", maxTickets);
    }
    return this.#calls.getLock({
      lock: toWireName(name),
      minToken: checkToken(options.minToken),
      ...(maxTickets !== undefined && { maxTickets }),
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
    const { prefix, waitingOnly } = options;
    const request: ListLocks = {
      beginning: beginningOf(prefix),
      waitingOnly: checkBoolean("waitingOnly", waitingOnly) ?? false,
      pageSize,
      minToken: checkToken(options.minToken),
    };
    let next = "";
    do {
      const page = await this.#calls.listLocks({ ...request, pageToken: next });
      yield* page.locks;
      next = page.next;
    } while (next !== "");
  }
}

function beginningOf(prefix: LockName | undefined): NonNullable<ListLocks["beginning"]> {
  if (prefix === undefined || prefix.length === 0) {
    return { case: undefined };
  }
  const name = toWireName(prefix);
  return name.case === "name" ? { case: "prefix", value: name.value } : { case: "prefixBytes", value: name.value };
}

function checkToken(token: unknown): bigint {
  if (token === undefined) {
    return 0n;
  }
  if (typeof token === "bigint" && token >= 0n && token < 1n << 63n) {
    return token;
  }
  throw invalid("minToken", "the token of a grant, a bigint", token);
}
