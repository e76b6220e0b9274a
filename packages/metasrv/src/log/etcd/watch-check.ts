import type { Clock, Timer } from "@metasrv/wire";
import type { Logger } from "pino";
import type { Head } from "./head.js";
import type { EtcdWatch } from "./rpc/etcd-client.js";

/** What a check works with. */
export interface WatchCheckOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** How often the watch is held against the store, in milliseconds. */
  readonly checkMs: number;
  /** How far the log is, as a majority of etcd's members has it. */
  readonly readHead: () => Promise<Head>;
  /** Everything that was committed by then, on the clock, was delivered. */
  readonly onComplete: (atMs: number) => void;
}

/** How long the store is left alone after a question that it did not answer, in milliseconds. */
const retryMs = 200;

/** How often a watch is looked at while it is behind, in milliseconds: at first, and when others were silent before. */
const lookMs = 250;
const longestLookMs = 4_000;
/** After so many looks without a word in between, it is given up. */
const looks = 3;

/**
 * A watch can fall silent without an end: a link that drops packets, an etcd member that is paused or cut off from the
 * others. So it is held against what is known to be committed: this process's own entries, and every second what the log
 * has, and which members there are. One that says nothing while it is behind is given up.
 */
export class WatchCheck {
  readonly #options: WatchCheckOptions;
  #watch: Pick<EtcdWatch, "cancel"> | undefined;
  /** How far the watch has come, and how far it should come. */
  #seen = 0n;
  #wanted = 0n;
  /** How far everything was delivered, by the watch or by answers. */
  #delivered = 0n;
  /** What the store answered last, and when it was asked. */
  #asked: { readonly revision: bigint; readonly atMs: number } | undefined;
  /** Grows while one watch after the other is silent: what a watch missed can take long to gather. */
  #lookMs = lookMs;
  /** Looks in a row without a word of it in between. */
  #silent = 0;
  /** Members that were gone at the last check, while the watch had not told of that. */
  #gone: readonly string[] = [];
  #nextLook: Timer | undefined;
  #nextCheck: Timer | undefined;

  constructor(options: WatchCheckOptions) {
    this.#options = options;
  }

  /** A listing has delivered everything up to this revision. What was known of the store before does not count any more. */
  listed(revision: bigint): void {
    this.#wanted = revision;
    this.#delivered = revision;
    this.#asked = undefined;
  }

  /** Everything up to this revision was delivered. */
  delivered(revision: bigint): void {
    this.#delivered = revision;
    this.#compare();
  }

  /** From now on it is this watch; it brings everything after `revision`. */
  watch(watch: Pick<EtcdWatch, "cancel">, revision: bigint): void {
    this.#watch = watch;
    this.#seen = revision;
    this.#silent = 0;
    this.#gone = [];
    this.#lookLater();
    this.#checkLater(this.#options.checkMs);
  }

  /** The watch is over. */
  stop(): void {
    this.#watch = undefined;
    this.#nextLook?.cancel();
    this.#nextLook = undefined;
    this.#nextCheck?.cancel();
  }

  /** The watch said something; `revision` is that of the last change that it brought, if it brought one. */
  heard(revision: bigint | undefined): void {
    this.#silent = 0;
    if (revision !== undefined && revision > this.#seen) {
      this.#seen = revision;
      if (this.#seen >= this.#wanted) {
        this.#lookMs = lookMs;
        this.#nextLook?.cancel();
        this.#nextLook = undefined;
      }
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
    if (this.#asked !== undefined && this.#delivered >= this.#asked.revision) {
      this.#options.onComplete(this.#asked.atMs);
      this.#asked = undefined;
    }
  }

  #lookLater(): void {
    if (this.#watch !== undefined && this.#nextLook === undefined && this.#seen < this.#wanted) {
      this.#nextLook = this.#options.clock.after(this.#lookMs, () => {
        this.#nextLook = undefined;
        this.#look();
        this.#lookLater();
      });
    }
  }

  #look(): void {
    if (this.#watch === undefined || this.#seen >= this.#wanted) {
      this.#silent = 0;
      return;
    }
    this.#silent++;
    if (this.#silent === looks) {
      this.#lookMs = Math.min(longestLookMs, 2 * this.#lookMs);
      this.#giveUp();
    }
  }

  #giveUp(): void {
    this.#options.logger.warn("the watch is behind the store; opening another");
    this.#watch?.cancel();
  }

  #checkLater(delayMs: number): void {
    const watch = this.#watch;
    this.#nextCheck = this.#options.clock.after(delayMs, () => {
      void this.#check().then((answered) => {
        if (watch === this.#watch && watch !== undefined) {
          this.#checkLater(answered ? this.#options.checkMs : retryMs);
        }
      });
    });
  }

  async #check(): Promise<boolean> {
    const atMs = this.#options.clock.now();
    try {
      const watch = this.#watch;
      const { revision, isWhole, gone } = await this.#options.readHead();
      this.committed(revision);
      if (watch !== this.#watch) {
        return true;
      }
      // A member's end is an event like others, but leaves nothing behind that a read could find.
      const isMissed = gone.some((memberId) => this.#gone.includes(memberId));
      this.#gone = gone;
      if (isMissed) {
        this.#giveUp();
      } else if (isWhole && gone.length === 0) {
        this.#asked = { revision, atMs };
        this.#compare();
      }
      return true;
    } catch {
      // Then nothing is known of the watch either.
      return false;
    }
  }
}
