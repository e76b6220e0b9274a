import type { Logger } from "pino";
import type { Clock, Timer } from "../../locks/clock.js";
import type { WatchStream } from "./etcd-client.js";

/** What a check works with. */
export interface WatchCheckOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** How often the watch is held against the store, in milliseconds. */
  readonly checkMs: number;
  /** The store's revision, as a majority of its members has it. */
  readonly readRevision: () => Promise<bigint>;
  /** Everything that was committed by then, on the clock, was delivered. */
  readonly onComplete: (atMs: number) => void;
}

/** How long the store is left alone after a question that it did not answer, in milliseconds. */
const retryMs = 200;

/** How often a watch is looked at while it is behind, in milliseconds: at first, and when others were silent before. */
const lookMs = 250;
const longestLookMs = 4_000;
/** Of so many looks without a word in between, the first asks it for its progress, and the last gives it up. */
const looks = 3;

/**
 * A watch can fall silent without an end: a link that drops packets, an etcd member that is paused or cut off from the
 * others. So it is held against what is known to be committed: what ops were answered with, and now and then the store's
 * revision. One that says nothing while it is behind is asked for its progress, and then given up.
 */
export class WatchCheck {
  readonly #options: WatchCheckOptions;
  #stream: WatchStream | undefined;
  /** How far the watch has come, and how far it should come. */
  #seen = 0n;
  #wanted = 0n;
  /** What the store answered last, and when it was asked. */
  #asked: { readonly revision: bigint; readonly atMs: number } | undefined;
  /** Grows while one watch after the other is silent: what a watch missed can take long to gather. */
  #lookMs = lookMs;
  /** Looks in a row without a word of it in between. */
  #silent = 0;
  #nextLook: Timer | undefined;
  #nextCheck: Timer | undefined;

  constructor(options: WatchCheckOptions) {
    this.#options = options;
  }

  /** Everything up to this revision was delivered by a listing; what was committed before it was taken back counts no more. */
  listed(revision: bigint): void {
    this.#wanted = revision;
  }

  /** From now on it is this watch; it was asked for everything after `revision`. */
  watch(stream: WatchStream, revision: bigint): void {
    this.#stream = stream;
    this.#seen = revision;
    this.#silent = 0;
    this.#lookLater();
    this.#checkLater(this.#options.checkMs);
  }

  /** The watch is over. */
  stop(): void {
    this.#stream = undefined;
    this.#nextLook?.cancel();
    this.#nextLook = undefined;
    this.#nextCheck?.cancel();
  }

  /** The watch said something; `revision`, if it told how far it is. */
  heard(revision: bigint | undefined): void {
    this.#silent = 0;
    if (revision !== undefined && revision > this.#seen) {
      this.#seen = revision;
      this.#compare();
    }
  }

  /** So much is committed: the watch is to come as far soon. */
  committed(revision: bigint): void {
    if (revision > this.#wanted) {
      this.#wanted = revision;
      this.#lookLater();
    }
  }

  #compare(): void {
    if (this.#seen >= this.#wanted && this.#lookMs > lookMs) {
      this.#lookMs = lookMs;
      this.#nextLook?.cancel();
      this.#nextLook = undefined;
    }
    if (this.#asked !== undefined && this.#seen >= this.#asked.revision) {
      this.#options.onComplete(this.#asked.atMs);
      this.#asked = undefined;
    }
  }

  #lookLater(): void {
    if (this.#stream !== undefined && this.#nextLook === undefined && this.#seen < this.#wanted) {
      this.#nextLook = this.#options.clock.after(this.#lookMs, () => {
        this.#nextLook = undefined;
        this.#look();
        this.#lookLater();
      });
    }
  }

  #look(): void {
    if (this.#stream === undefined || this.#seen >= this.#wanted) {
      this.#silent = 0;
      return;
    }
    this.#silent++;
    if (this.#silent === 1) {
      this.#stream.write({ progress_request: {} });
    } else if (this.#silent === looks) {
      this.#options.logger.warn("the watch is behind the store; opening another");
      this.#lookMs = Math.min(longestLookMs, 2 * this.#lookMs);
      this.#stream.cancel();
    }
  }

  #checkLater(delayMs: number): void {
    const stream = this.#stream;
    this.#nextCheck = this.#options.clock.after(delayMs, () => {
      void this.#check().then((answered) => {
        if (stream === this.#stream) {
          this.#checkLater(answered ? this.#options.checkMs : retryMs);
        }
      });
    });
  }

  async #check(): Promise<boolean> {
    const atMs = this.#options.clock.now();
    try {
      const revision = await this.#options.readRevision();
      this.#asked = { revision, atMs };
      this.committed(revision);
      this.#compare();
      this.#stream?.write({ progress_request: {} });
      return true;
    } catch {
      // Then nothing is known of the watch either.
      return false;
    }
  }
}
