import type { Clock } from "@metasrv/wire";
import { checkDurationMs, checkObject, invalid } from "./argument-checks.js";
import { CallScope, sleep } from "./cancellation.js";
import type { FencingToken, HeldLock } from "./held-lock.js";
import { type CheckedLockOptions, checkLockOptions } from "./lock-arguments.js";
import type { LockHandle } from "./lock-handle.js";
import type { LockInspector } from "./lock-inspector.js";
import { describeLock, type LockName } from "./lock-name.js";
import { LeaderStuckError, LockLostError, UnavailableError } from "./meta-errors.js";
import { Buffer } from "./platform.js";

/** Options of `campaign`. */
export interface CampaignOptions {
  /** How long a term lasts unless it is renewed, which happens by itself, in milliseconds. Default: the server's, 10000. */
  readonly ttlMs?: number | undefined;
  /** What others read of the leader, such as its address: a text or bytes, 1024 bytes at most. Default: nothing. */
  readonly value?: string | Uint8Array | undefined;
  /** By what people recognise the candidate, 256 bytes at most. Default: the client's `owner`. */
  readonly owner?: string | undefined;
  /** As in `LockOptions`. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** How long to stay away from the queue after a term has ended, about, in milliseconds. Default: 1000. */
  readonly rejoinMs?: number | undefined;
  /** Ends the candidacy when it aborts, and the term: the call rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of `lead`. */
export interface LeadOptions extends CampaignOptions {
  /** How long a callback may go on after its term has ended, in milliseconds. Default: 5000. */
  readonly stopGraceMs?: number | undefined;
  /**
   * Asked about three times in a TTL whether this process is fit to lead. False, or an error, ends the term; the candidate
   * comes back at the end of the queue.
   */
  readonly healthy?: (() => boolean | Promise<boolean>) | undefined;
}

/** The time in which a candidate leads. */
export interface Term extends Pick<HeldLock, "token" | "floor" | "signal"> {
  /** The name of the election. */
  readonly name: LockName;
  /**
   * Lets others read another value.
   *
   * @throws LockLostError when the term is over; UnavailableError when it is not known whether others read it
   */
  publish(value: string | Uint8Array): Promise<void>;
  /** Ends the term: `signal` aborts, and the next candidate leads once the callback has ended. Never rejects. */
  resign(): Promise<void>;
}

/** A leader, as others see it. */
export interface Leader {
  readonly owner: string;
  readonly token: FencingToken;
  readonly value: Uint8Array;
}

/** Options of `observeLeader`. */
export interface ObserveOptions {
  /** Ends the observation when it aborts: it rejects with the reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What elections need of their client. */
export interface ElectionParts {
  readonly clock: Clock;
  readonly random: () => number;
  readonly inspector: LockInspector;
  /** Waits for a lock. */
  readonly acquire: (name: LockName, options: CheckedLockOptions, value: Uint8Array) => Promise<LockHandle>;
  /** Runs what holds a lock, so that it is known that it does. @param place - made where the lock was asked for */
  readonly run: <T>(handle: LockHandle, place: Error, body: () => T) => T;
}

const noBytes = new Uint8Array();

/** Elections of leaders: a leader is the holder of an exclusive lock, and the candidates wait for it. */
export class Elections {
  readonly #parts: ElectionParts;

  constructor(parts: ElectionParts) {
    this.#parts = parts;
  }

  /** See `MetaClient.lead`. */
  async lead(name: LockName, options: LeadOptions, body: (term: Term) => Promise<void> | void): Promise<void> {
    const candidate = checkCandidate(options);
    const { stopGraceMs, healthy } = checkLead(options);
    if (typeof body !== "function") {
      throw invalid("body", "a function that is called with the term", body);
    }
    const place = new Error("the election was entered here");
    const run = (term: OwnTerm): Promise<void> | void => this.#parts.run(term.handle, place, () => body(term));
    for await (const term of this.#terms(name, candidate)) {
      if (await this.#serve(term, run, healthy, stopGraceMs)) {
        return;
      }
    }
  }

  /** See `MetaClient.campaign`. */
  async *campaign(name: LockName, options: CampaignOptions): AsyncGenerator<Term, void, undefined> {
    for await (const term of this.#terms(name, checkCandidate(options))) {
      try {
        yield term;
      } finally {
        await term.end();
      }
    }
  }

  /** See `MetaClient.observeLeader`. */
  async *observe(name: LockName, { signal }: ObserveOptions): AsyncGenerator<Leader | null, void, undefined> {
    let last: Leader | null | undefined;
    let highest = 0n;
    for await (const { tickets } of this.#parts.inspector.watch(name, { maxTickets: 1, signal })) {
      const [first] = tickets;
      const leader =
        first?.holds === true ? { owner: first.owner, token: first.token as FencingToken, value: first.value } : null;
      // A server may be behind one that was asked before.
      if ((leader?.token ?? highest) < highest || isSame(leader, last)) {
        continue;
      }
      highest = leader?.token ?? highest;
      last = leader;
      yield leader;
    }
  }

  /** Each term that the candidate wins, until its signal aborts. The next one is waited for after the one before was used. */
  async *#terms(name: LockName, candidate: Candidate): AsyncGenerator<OwnTerm, void, undefined> {
    for (let isFirst = true; ; isFirst = false) {
      const term = await this.#win(name, candidate, isFirst);
      if (term !== undefined) {
        yield term;
        candidate.signal?.throwIfAborted();
      }
      await this.#rejoin(candidate);
    }
  }

  /** @returns whether the body has ended before its term */
  async #serve(
    term: OwnTerm,
    body: (term: OwnTerm) => Promise<void> | void,
    healthy: (() => boolean | Promise<boolean>) | undefined,
    stopGraceMs: number,
  ): Promise<boolean> {
    const watch = new CallScope();
    if (healthy !== undefined) {
      void this.#watchHealth(term, healthy, watch);
    }
    const ended = Promise.resolve().then(() => body(term));
    const stuck = this.#stuck(term, stopGraceMs, watch);
    let isStuck = false;
    try {
      await Promise.race([ended, stuck]);
      return !term.signal.aborted;
    } catch (error) {
      // A body that ends because its term does has done what it should.
      isStuck = error instanceof LeaderStuckError && error.cause === term.signal.reason;
      if (isStuck || !term.signal.aborted || !isAbort(error, term.signal)) {
        throw error;
      }
      return false;
    } finally {
      watch.cancel(undefined);
      watch.end();
      if (isStuck) {
        term.leaveToTtl(ended);
      } else {
        await term.end();
      }
    }
  }

  async #watchHealth(term: OwnTerm, healthy: () => boolean | Promise<boolean>, watch: CallScope): Promise<void> {
    const { clock } = this.#parts;
    try {
      for (;;) {
        await sleep(clock, term.ttlMs / 3, watch, false);
        const answer = Promise.resolve()
          .then(healthy)
          .catch(() => false);
        const noAnswer = sleep(clock, term.ttlMs / 3, watch, false).then(() => false);
        const isFit = await Promise.race([answer, noAnswer]);
        if (!isFit && !watch.cancelled) {
          term.stop(new LockLostError(`The candidate for ${describeLock(term.name)} is not healthy, and resigns.`));
          return;
        }
      }
    } catch {
      // The term is over.
    }
  }

  /** Rejects when a body goes on long after its term. */
  #stuck(term: OwnTerm, stopGraceMs: number, watch: CallScope): Promise<never> {
    return new Promise((_, reject) => {
      const count = (): void => {
        sleep(this.#parts.clock, stopGraceMs, watch).then(
          () => {
            reject(
              new LeaderStuckError(
                `The callback of the leader by ${describeLock(term.name)} goes on ${stopGraceMs} ms after its term has ended ` +
                  `(token ${term.token}). Another process may lead by now: end this one, or raise stopGraceMs.`,
                { cause: term.signal.reason },
              ),
            );
          },
          () => undefined,
        );
      };
      if (term.signal.aborted) {
        count();
      } else {
        term.signal.addEventListener("abort", count, { once: true });
      }
    });
  }

  /**
   * @param isFirst - whether the candidate has not waited before: then it is told when no server can be reached
   * @returns undefined when the candidate has lost its place in the queue, or the lock before it could lead, and is to come back
   */
  async #win(name: LockName, { lock, value, signal }: Candidate, isFirst: boolean): Promise<OwnTerm | undefined> {
    try {
      const handle = await this.#parts.acquire(name, lock, value);
      if (handle.held) {
        return new OwnTerm(handle, name, signal);
      }
      await handle[Symbol.asyncDispose]();
      return undefined;
    } catch (error) {
      if (error instanceof LockLostError || (error instanceof UnavailableError && !isFirst)) {
        return undefined;
      }
      throw error;
    }
  }

  async #rejoin({ rejoinMs, signal }: Candidate): Promise<void> {
    const { clock, random } = this.#parts;
    const scope = new CallScope().followSignal(signal);
    try {
      await sleep(clock, rejoinMs * (0.5 + random()), scope);
    } finally {
      scope.end();
    }
  }
}

/** A term of this process. */
class OwnTerm implements Term {
  readonly name: LockName;
  readonly handle: LockHandle;
  readonly #over = new AbortController();
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => {
    this.stop(this.#signal?.reason);
  };

  constructor(handle: LockHandle, name: LockName, signal: AbortSignal | undefined) {
    this.handle = handle;
    this.name = name;
    this.#signal = signal;
    const held = handle.signal;
    const onLost = (): void => {
      this.stop(held.reason);
    };
    held.addEventListener("abort", onLost);
    signal?.addEventListener("abort", this.#onAbort);
    // A signal that has aborted already tells nobody.
    if (held.aborted) {
      onLost();
    }
    if (signal?.aborted === true) {
      this.#onAbort();
    }
  }

  get token(): FencingToken {
    return this.handle.token;
  }

  get floor(): FencingToken {
    return this.handle.floor;
  }

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  get ttlMs(): number {
    return this.handle.ttlMs;
  }

  async publish(value: string | Uint8Array): Promise<void> {
    const bytes = checkValue(value);
    const outcome = this.signal.aborted ? "lost" : await this.handle.publish(bytes);
    if (outcome === "lost") {
      throw new LockLostError(`The term as leader by ${describeLock(this.name)} is over, and nothing was published.`);
    }
    if (outcome === "unknown") {
      throw new UnavailableError(
        "No server could say whether the value was published. It is sent again with the next renewal.",
        [],
      );
    }
  }

  resign(): Promise<void> {
    this.stop(new LockLostError(`The leader by ${describeLock(this.name)} has resigned.`));
    return Promise.resolve();
  }

  /** The term ends, and the lock is kept until {@link end}: others must not lead while the callback goes on. */
  stop(reason: unknown): void {
    this.#over.abort(reason);
  }

  /** The lock is renewed no more, and given back if the callback ends before its TTL. */
  leaveToTtl(ended: Promise<unknown>): void {
    this.handle.stopRenewing();
    const end = (): Promise<void> => this.end();
    ended.then(end, end);
  }

  /** Gives the lock back. Never rejects. */
  async end(): Promise<void> {
    this.#signal?.removeEventListener("abort", this.#onAbort);
    await this.handle[Symbol.asyncDispose]();
    this.stop(new LockLostError(`The term as leader by ${describeLock(this.name)} has ended.`));
  }
}

/** What a candidate asks for. */
interface Candidate {
  readonly lock: CheckedLockOptions;
  readonly value: Uint8Array;
  readonly rejoinMs: number;
  readonly signal: AbortSignal | undefined;
}

function checkCandidate(options: CampaignOptions): Candidate {
  checkObject("options", options, "an object such as { ttlMs: 10000 }");
  const { ttlMs, value, owner, labels, rejoinMs, signal } = options;
  return {
    lock: { ...checkLockOptions({ ttlMs, owner, labels, signal }), keepAlive: true },
    value: value === undefined ? noBytes : checkValue(value),
    rejoinMs: checkDurationMs("rejoinMs", rejoinMs, 0) ?? 1_000,
    signal,
  };
}

function checkLead({ stopGraceMs, healthy }: LeadOptions) {
  if (healthy !== undefined && typeof healthy !== "function") {
    throw invalid("healthy", "a function that returns whether this process is fit to lead", healthy);
  }
  return { stopGraceMs: checkDurationMs("stopGraceMs", stopGraceMs, 0) ?? 5_000, healthy };
}

function checkValue(value: unknown): Uint8Array {
  if (typeof value === "string") {
    return Buffer.from(value);
  }
  if (value instanceof Uint8Array) {
    return Uint8Array.from(value);
  }
  throw invalid("value", "a text or bytes", value);
}

function isSame(one: Leader | null, other: Leader | null | undefined): boolean {
  if (one === null || other === null || other === undefined) {
    return one === other;
  }
  return one.token === other.token && Buffer.from(one.value).equals(other.value);
}

/** Whether an error only says that a signal has aborted. */
function isAbort(error: unknown, { reason }: AbortSignal): boolean {
  return error === reason || (error instanceof Error && (error.name === "AbortError" || error.cause === reason));
}
