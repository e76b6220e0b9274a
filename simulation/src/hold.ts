import {
  type Holding,
  type LockNews,
  marginMs,
  type NewsListener,
  Validity,
} from "../../packages/meta-client/src/grant.js";
import { LockLostError } from "../../packages/meta-client/src/meta-errors.js";
import { shared } from "../../packages/metasrv/src/model/ticket-content.js";
import type { LockKey } from "../../packages/metasrv/src/model/ticket-ref.js";
import { checkKey } from "../../packages/metasrv/src/node/admission.js";
import type { Belief, BelievedPart } from "./beliefs.js";
import type { ClientGrant } from "./client-way.js";
import type { ProcessClock } from "./simulated-process.js";

/** A lock that a client was granted, or several at once, and how long the client counts that it surely holds it. */
export class Hold implements NewsListener {
  readonly holding: Holding;
  readonly lockKey: LockKey;
  readonly validity: Validity;
  /** Of each of its locks. */
  readonly floors: readonly bigint[];
  /** What it believes to hold of each lock. */
  #parts: readonly BelievedPart[];
  readonly #clock: ProcessClock;
  readonly #marginCounts: boolean;
  #over = false;
  #gone = false;
  #onNews: (news: LockNews) => void = () => undefined;

  /**
   * @param parts - what was asked for, in the order of the names
   * @param countsFromMs - the moment from which the TTL counts, less the error of the clocks
   * @param marginCounts - whether the client's margin makes up for clocks at different rates; otherwise the client must
   *   be right without it
   */
  constructor(
    clock: ProcessClock,
    { holding, ttlMs, floors }: ClientGrant,
    parts: readonly BelievedPart[],
    countsFromMs: number,
    marginCounts: boolean,
  ) {
    this.holding = holding;
    this.floors = floors;
    this.#parts = parts;
    this.lockKey = checkKey(holding.key, 1024);
    this.#clock = clock;
    this.#marginCounts = marginCounts;
    this.validity = new Validity({ clock, startedAtMs: countsFromMs, ttlMs, ranOut: lost });
  }

  /**
   * Whether the client surely holds the lock now, by its own clock. Its timers do not decide, because they may be late.
   */
  believed(): boolean {
    const marginToKeepMs = this.#marginCounts ? marginMs(this.validity.ttlMs) : 0;
    return !this.#over && this.#clock.now() < this.validity.expiresAtMs - marginToKeepMs;
  }

  /** What its client believes to hold as long as it is {@link believed}. */
  get belief(): Belief {
    return { token: this.lockKey.token, parts: this.#parts };
  }

  /** Whether a node said that the lock is not held any more. */
  get gone(): boolean {
    return this.#gone;
  }

  /** From now on, calls back with what nodes say of the lock. */
  listen(onNews: (news: LockNews) => void): void {
    this.#onNews = onNews;
    this.holding.listen(this);
  }

  hear(news: LockNews): void {
    this.#onNews(news);
    if (news !== "unwatched") {
      this.#gone = true;
      this.end();
    }
  }

  get leftMs(): number {
    return this.validity.expiresAtMs - this.#clock.now();
  }

  /** From now on, it counts as shared, whatever becomes of the request. */
  downgrade(): void {
    this.#parts = this.#parts.map(({ name }) => ({ name, ...shared }));
    this.holding.downgraded = true;
  }

  /** The client gives the lock back, or has heard that it is gone. */
  end(): void {
    this.#over = true;
    this.validity.stop();
  }
}

function lost(): LockLostError {
  return new LockLostError("The lock is lost.");
}
