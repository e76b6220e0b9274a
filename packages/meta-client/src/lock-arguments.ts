import { LockMode } from "@metasrv/proto/metasrv/v1";
import { checkBoolean, checkDurationMs, checkObject, checkText, invalid } from "./argument-checks.js";
import { describeLock, type LockName, toWireName, type WireName } from "./lock-name.js";
import { InvalidArgumentError } from "./meta-errors.js";
import { Buffer } from "./platform.js";

// What callers say of a lock: how much of it they want, and how. Each part has its check.

/** How a lock is held: alone; with others that share it; or as so many of a number of permits. */
export type Mode = "exclusive" | "shared" | "semaphore";

/** How much of a lock is asked for, as requests carry it. */
export interface Share {
  readonly mode: LockMode;
  /** 0 without a semaphore. */
  readonly permits: number;
  readonly limit: number;
}

/** Alone. */
export const exclusive: Share = { mode: LockMode.UNSPECIFIED, permits: 0, limit: 0 };

const shared: Share = { mode: LockMode.SHARED, permits: 0, limit: 0 };

// One less than what the protocol has for "no limit".
const mostPermits = 2 ** 32 - 2;

/** @throws InvalidArgumentError unless it is a mode that `lock` takes, or absent */
function checkMode(mode: unknown): Share {
  if (mode === undefined || mode === "exclusive") {
    return exclusive;
  }
  if (mode === "shared") {
    return shared;
  }
  throw invalid("mode", '"exclusive" or "shared" (for a semaphore, call semaphore())', mode);
}

/** @throws InvalidArgumentError unless it is a number of permits */
export function checkLimit(limit: unknown): number {
  return checkCount("limit", limit, mostPermits);
}

/** @throws InvalidArgumentError unless it is a number of permits, the limit at most; absent means 1 */
export function checkPermits(permits: unknown, limit: number): Share {
  return { mode: LockMode.SEMAPHORE, permits: checkCount("permits", permits ?? 1, limit), limit };
}

/** The mode of a request. */
export function modeOf({ mode }: Pick<Share, "mode">): Mode {
  switch (mode) {
    case LockMode.SHARED:
      return "shared";
    case LockMode.SEMAPHORE:
      return "semaphore";
    default:
      return "exclusive";
  }
}

function checkCount(argument: string, value: unknown, most: number): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 1 && value <= most) {
    return value;
  }
  throw invalid(argument, `a whole number from 1 to ${most}`, value);
}

/** A lock that is asked for, among others or alone. */
export interface AskedLock {
  readonly name: LockName;
  readonly lock: WireName;
  readonly share: Share;
}

/** @throws InvalidArgumentError for a name that can name no lock */
export function askedOf(name: LockName, share: Share): AskedLock {
  return { name, lock: toWireName(name), share };
}

/** One of several locks of `lockAll`, if it is not to be held alone. */
export interface LockPart {
  readonly name: LockName;
  /** As in {@link TryLockOptions}. */
  readonly mode?: "exclusive" | "shared" | undefined;
  /** Makes it permits of a semaphore: how many there are. */
  readonly limit?: number | undefined;
  /** With `limit`: how many to take. Default: 1. */
  readonly permits?: number | undefined;
}

const mostParts = 16;

/**
 * The locks that are asked for at once, sorted by the bytes of their names, as servers sort them.
 *
 * @throws InvalidArgumentError unless they are 1 to 16 of different names
 */
export function checkParts(parts: unknown): readonly AskedLock[] {
  const expected = `a list of 1 to ${mostParts} names, or of objects such as { name: "a", mode: "shared" }`;
  if (!Array.isArray(parts) || parts.length === 0) {
    throw invalid("locks", expected, parts);
  }
  if (parts.length > mostParts) {
    throw new InvalidArgumentError(`locks must be ${expected}, but has ${parts.length}.`);
  }
  const asked = parts.map((part: unknown) => {
    const lock = typeof part === "string" || part instanceof Uint8Array ? checkPart({ name: part }) : checkPart(part);
    return { ...lock, bytes: Buffer.from(lock.name) };
  });
  asked.sort((a, b) => Buffer.compare(a.bytes, b.bytes));
  const twice = asked.find(({ bytes }, at) => asked[at + 1]?.bytes.equals(bytes));
  if (twice !== undefined) {
    throw new InvalidArgumentError(`locks must have different names, but has ${describeLock(twice.name)} twice.`);
  }
  return asked;
}

function checkPart(part: unknown): AskedLock {
  checkObject("a lock", part, 'a name, or an object such as { name: "a", mode: "shared" }');
  const { name, mode, limit, permits } = part as Record<keyof LockPart, unknown>;
  const lock = toWireName(name);
  if (limit === undefined && permits === undefined) {
    return { name: lock.value, lock, share: checkMode(mode) };
  }
  if (mode !== undefined) {
    throw invalid("mode", "absent, because permits of a semaphore have no mode", mode);
  }
  return { name: lock.value, lock, share: checkPermits(permits, checkLimit(limit)) };
}

/** Options of `tryLock`. */
export interface TryLockOptions {
  /** How long the lock is held unless renewed, in whole milliseconds. Default: the server's, 10000. */
  readonly ttlMs?: number | undefined;
  /** Ends the request when it aborts: the call rejects with its reason, and no request is left at the server. */
  readonly signal?: AbortSignal | undefined;
  /** By what people recognise the holder, 256 bytes at most. Default: the client's `owner`. */
  readonly owner?: string | undefined;
  /**
   * What people are shown beside the owner, such as `{ job: "nightly" }`: 8 pairs at most, keys of 1 to 64 bytes, texts of at
   * most 256.
   */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /**
   * `"exclusive"`: hold the lock alone. `"shared"`: hold it together with all others that share it, and never beside an
   * exclusive holder. Whoever waits is not overtaken. Default: `"exclusive"`.
   */
  readonly mode?: "exclusive" | "shared" | undefined;
  /**
   * Whether to renew the lock until it is released. Do release it: a handle that is dropped is renewed as long as the
   * process lives, or `maxHoldMs`. Default: true.
   */
  readonly keepAlive?: boolean | undefined;
  /**
   * After how many milliseconds `keepAlive` renews no more, so that the lock ends one TTL later at the latest. Default:
   * no bound.
   */
  readonly maxHoldMs?: number | undefined;
  /**
   * How long before the end of the hold `signal` aborts at the latest, in milliseconds, for a holder that takes long to stop.
   * Needs `ttlMs`, and is half of it at most. From then on, the lock is not renewed any more. Default: 5 % of the TTL, at most
   * 250.
   */
  readonly endMarginMs?: number | undefined;
}

/** Options of `lock` and `withLock`. */
export interface LockOptions extends TryLockOptions {
  /**
   * How long to wait for the lock, in whole milliseconds; then the call rejects with a `WaitTimeoutError`. 0: do not
   * wait. Default: no bound.
   */
  readonly waitMs?: number | undefined;
}

/** {@link LockOptions}, checked. */
export interface CheckedLockOptions {
  readonly ttlMs: number | undefined;
  readonly waitMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly owner: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly keepAlive: boolean | undefined;
  readonly maxHoldMs: number | undefined;
  readonly endMarginMs: number | undefined;
  readonly share: Share;
}

/** @throws InvalidArgumentError that names the option and says what it should be */
export function checkLockOptions(options: unknown): CheckedLockOptions {
  checkObject("options", options, "an object such as { ttlMs: 5000 }");
  const { ttlMs, waitMs, signal, owner, labels, keepAlive, maxHoldMs, endMarginMs, mode } = options as Record<
    string,
    unknown
  >;
  const checkedTtlMs = checkDurationMs("ttlMs", ttlMs, 1);
  return {
    ttlMs: checkedTtlMs,
    waitMs: checkDurationMs("waitMs", waitMs, 0),
    signal: checkSignal("signal", signal),
    owner: checkText("owner", owner),
    labels: checkLabels(labels),
    keepAlive: checkBoolean("keepAlive", keepAlive),
    maxHoldMs: checkDurationMs("maxHoldMs", maxHoldMs, 1),
    endMarginMs: checkEndMargin(endMarginMs, checkedTtlMs),
    share: checkMode(mode),
  };
}

// A lock is renewed when a third of its TTL has passed. Half of it leaves time for a renewal to be asked for again.
function checkEndMargin(endMarginMs: unknown, ttlMs: number | undefined): number | undefined {
  const checked = checkDurationMs("endMarginMs", endMarginMs, 0);
  if (checked !== undefined && (ttlMs === undefined || checked > ttlMs / 2)) {
    throw invalid("endMarginMs", "half of ttlMs at most, which must be given too", checked);
  }
  return checked;
}

/** As {@link checkLockOptions}, for a request that never waits. */
export function checkTryLockOptions(options: unknown): CheckedLockOptions {
  const checked = checkLockOptions(options);
  if (checked.waitMs === undefined) {
    return checked;
  }
  throw invalid("waitMs", "absent, because tryLock never waits (lock does)", checked.waitMs);
}

const noLabels = {};

/** @throws InvalidArgumentError unless it is an object of texts, or absent; the server checks how many and how long they are */
function checkLabels(labels: unknown): Readonly<Record<string, string>> {
  if (labels === undefined) {
    return noLabels;
  }
  checkObject("labels", labels, 'an object such as { job: "nightly" }');
  for (const [key, text] of Object.entries(labels)) {
    if (checkText(`labels[${JSON.stringify(key)}]`, text) === undefined) {
      throw invalid(`labels[${JSON.stringify(key)}]`, "a text", text);
    }
  }
  return { ...labels };
}

/** @throws InvalidArgumentError unless it is an AbortSignal or absent */
function checkSignal(argument: string, value: unknown): AbortSignal | undefined {
  if (value === undefined || value instanceof AbortSignal) {
    return value;
  }
  throw invalid(argument, "an AbortSignal", value);
}

/** The last two arguments of `withLock` and its kin, of which the first may be left out. */
export function optionsAndBody<O extends object, B>(
  rest: readonly [body: B] | readonly [options: O | undefined, body: B],
): readonly [options: Partial<O>, body: B] {
  return rest.length === 1 ? [{}, rest[0]] : [rest[0] ?? {}, rest[1]];
}

/** @throws InvalidArgumentError if there is a mode where none is allowed */
export function withoutMode<T extends object>(options: T): T {
  if ("mode" in options && options.mode !== undefined) {
    throw invalid("mode", "absent: each lock has its own, and a semaphore has none", options.mode);
  }
  return options;
}
