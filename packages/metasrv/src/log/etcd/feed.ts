import type { Clock } from "@metasrv/wire";
import type { Logger } from "pino";
import { isProgramFault } from "../../model/fatal-error.js";
import type { LogFold } from "../command-log.js";
import type { StoredBase } from "../snapshot-codec.js";
import { Pauses, untilReached } from "./attempts.js";
import { checkFirstDesign } from "./first-design.js";
import { HeadReader } from "./head.js";
import type { LogKeys } from "./keys.js";
import { list, type Listing } from "./listing.js";
import type { EtcdClient, EtcdEvent, EtcdHeader, EtcdWatch, EtcdWatchResponse } from "./rpc/etcd-client.js";
import { WatchCheck } from "./watch-check.js";

/** Is given what the store has, in order. */
export interface FeedListener {
  /** Everything there is, at first and whenever continuity was lost. @param replaced - the store is another one, or older */
  listed(listing: Listing, replaced: boolean): void;
  /** Changes since the last call, oldest first. */
  changed(events: readonly EtcdEvent[]): void;
}

/** What a feed works with. */
export interface FeedOptions {
  readonly client: EtcdClient;
  readonly keys: LogKeys;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly hosts: readonly string[];
  readonly knownLevel: number;
  readonly fold: LogFold;
  readonly firstBase: () => StoredBase;
  readonly foreign: (key: Buffer) => void;
  /** The members that may have written something. */
  readonly members: () => readonly string[];
  /** Ends the process. */
  readonly fatal: (error: Error) => void;
  /** How long the first listing is tried, in milliseconds. */
  readonly connectTimeoutMs: number;
  /** How often the watch is held against the store, and how far it may be behind, in milliseconds. */
  readonly checkMs: number;
  /** How long one request may take, in milliseconds. */
  readonly requestTimeoutMs: number;
}

/** How long a listing's first page may take, in milliseconds: no longer, as the etcd member asked may be silent. */
const firstPageMs = 1_000;

/** After so many checks without a success, the feed is taken to be behind: not in an election of etcd's. */
const checksOverdue = 5;

/** A change that was delivered. */
interface LastChange {
  readonly key: Buffer;
  readonly revision: bigint;
}

/** Delivers everything that is ours in the store: a listing, then every change in order, and a new listing after a gap. */
export class Feed {
  readonly #options: FeedOptions;
  readonly #listener: FeedListener;
  readonly #pauses: Pauses;
  readonly #check: WatchCheck;
  readonly #head: HeadReader;
  /** Revision up to which everything was delivered. */
  #revision = 0n;
  /** The last change that was delivered: a watch that does not begin with it watches another history. */
  #last: LastChange | undefined;
  /** The change that a watch should have begun with and did not, until it was looked for. */
  #missing: LastChange | undefined;
  /** Changes before this revision cannot be watched any more. */
  #compactedAt = 0n;
  #clusterId: bigint | undefined;
  /** Why the store is not the one that was listed last; undefined while it is. */
  #replaced: string | undefined;
  /** How long a listing's first page may take: twice as long after each that failed, for an etcd that is slow. */
  #firstPageMs = firstPageMs;
  /** Latest moment of which it is known that everything committed by then was delivered; absent before the listing. */
  #completeAtMs: number | undefined;
  /** Who waits for everything up to a revision to be delivered. */
  #awaited: { readonly revision: bigint; readonly resolve: () => void }[] = [];
  #closed = false;
  #watch: EtcdWatch | undefined;
  /** Whether a watch is open that goes on where the delivered ends. */
  #watching = false;
  #running: Promise<void> | undefined;

  constructor(options: FeedOptions, listener: FeedListener) {
    this.#options = options;
    this.#listener = listener;
    this.#pauses = new Pauses(options.clock, options.random);
    const { clock, logger, checkMs, requestTimeoutMs } = options;
    this.#head = new HeadReader({
      ...options,
      timeoutMs: Math.min(requestTimeoutMs, checkMs),
      revision: () => this.#revision,
      heard: (header, delivered) => {
        this.heard(header, delivered);
      },
      reached: (revision) => this.#reached(revision),
    });
    this.#check = new WatchCheck({
      clock,
      logger,
      checkMs,
      readHead: () => this.#head.read(),
      onComplete: (atMs) => {
        this.#completeAtMs = Math.max(this.#completeAtMs ?? atMs, atMs);
      },
    });
  }

  /** Revision up to which everything was delivered. */
  get revision(): bigint {
    return this.#revision;
  }

  /** Whether what was delivered is surely of the store that there is now: a watch goes on from it. */
  get isSure(): boolean {
    return this.#watching && this.#replaced === undefined;
  }

  /**
   * Delivers the first listing, and goes on from there.
   *
   * @throws FatalError when what is in the store cannot be read; LockError `store-unavailable`
   */
  async open(): Promise<void> {
    const { hosts, logger } = this.#options;
    const listing = await untilReached(
      { ...this.#options, pauses: this.#pauses, ended: () => this.#closed },
      async (leftMs) => {
        await checkFirstDesign(this.#options.client, this.#options.keys, Math.min(firstPageMs, leftMs));
        return this.#list(leftMs);
      },
      (reason) => {
        logger.warn({ reason, hosts }, "etcd does not answer yet; trying again");
      },
    );
    this.#deliver(() => {
      this.#listener.listed(listing, false);
    });
    this.#running = this.#follow();
  }

  /** See `CommandLog.lag`. */
  lag(): string | undefined {
    if (this.#completeAtMs === undefined) {
      return "it has not read the store yet";
    }
    const { clock, checkMs } = this.#options;
    const behindMs = clock.now() - this.#completeAtMs;
    return behindMs > checksOverdue * checkMs
      ? `it may have missed what was committed in the last ${Math.round(behindMs / 1000)} s: the watch of the store is behind, or the store does not answer`
      : undefined;
  }

  /** How long ago everything committed by then had surely been delivered, in milliseconds; undefined before the listing. */
  get behindMs(): number | undefined {
    return this.#completeAtMs === undefined ? undefined : this.#options.clock.now() - this.#completeAtMs;
  }

  /** See `CommandLog.catchUp`. */
  catchUp(): Promise<void> {
    return this.#head.catchUp();
  }

  /**
   * This process's own write is committed at this revision. Where it is what comes next, it is delivered at once, and the
   * watch's news of it is dropped; else the watch brings it in its place.
   */
  committed(key: Buffer, revision: bigint, deliver: () => void): void {
    this.#check.committed(revision);
    if (revision === this.#revision + 1n && this.isSure) {
      this.#advance(key, revision);
      this.#deliver(deliver);
      this.#wakeAwaited();
    }
  }

  /** This process's own write of something that is not watched is committed at this revision. */
  skipped(revision: bigint): void {
    if (revision === this.#revision + 1n && this.#watching) {
      this.#revision = revision;
      this.#check.delivered(revision);
    }
  }

  /**
   * A majority of etcd's members has answered something. An answer of another cluster, or one that is behind what was
   * delivered when it was asked, comes from a store that took the place of this one.
   */
  heard(header: EtcdHeader, deliveredAtSending: bigint): void {
    const { revision } = header;
    if (!this.#isSameCluster(header)) {
      return;
    }
    if (revision < deliveredAtSending && deliveredAtSending <= this.#revision) {
      this.#replace(`it is at revision ${revision}, and had been at ${deliveredAtSending}`);
    }
  }

  /** Ends delivery. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#pauses.close();
    this.#head.close();
    this.#watch?.cancel();
    this.#wakeAwaited();
    await this.#running;
  }

  #isSameCluster({ clusterId }: EtcdHeader): boolean {
    if (this.#clusterId === undefined || clusterId === this.#clusterId) {
      return true;
    }
    this.#replace(`its cluster id is ${clusterId.toString(16)} instead of ${this.#clusterId.toString(16)}`);
    return false;
  }

  #replace(why: string): void {
    if (this.#replaced === undefined && !this.#closed) {
      this.#replaced = why;
      this.#options.logger.error(
        { why, hint: "if it was wiped, whatever checks fencing tokens must still refuse lower ones" },
        "etcd was restored, replaced or wiped: locks that it does not have are lost; reading it anew",
      );
      this.#watch?.cancel();
    }
  }

  async #follow(): Promise<void> {
    const { logger, fold } = this.#options;
    let listed = true;
    let isFresh = true;
    while (!this.#closed) {
      try {
        if (!listed) {
          await this.#lookForMissing();
          const wasReplaced = this.#replaced !== undefined;
          const listing = await this.#list();
          const goesBack = listing.fold.nextToken < fold.nextToken;
          if (goesBack) {
            this.#replace("it has not all that this server had read");
          }
          const replaced = wasReplaced || goesBack;
          this.#deliver(() => {
            this.#listener.listed(listing, replaced);
          });
          this.#replaced = replaced ? undefined : this.#replaced;
          listed = true;
          isFresh = true;
          logger.info({ revision: this.#revision.toString() }, "listed the store again");
          this.#wakeAwaited();
        }
        const wasFresh = isFresh;
        isFresh = false;
        listed = (await this.#watchOnce(wasFresh)) === "broken" && this.#replaced === undefined;
      } catch (error) {
        if (isProgramFault(error)) {
          this.#closed = true;
          this.#options.fatal(error);
          return;
        }
        logger.debug({ err: error }, "watch failed");
      }
      await this.#pauses.wait();
    }
  }

  /** A watch did not begin with the last change: is it not in the store, or was the watch only slow? */
  async #lookForMissing(): Promise<void> {
    const missing = this.#missing;
    if (missing === undefined) {
      return;
    }
    const { kvs } = await this.#options.client.range({ key: missing.key, keysOnly: true }, this.#firstPageMs);
    this.#missing = undefined;
    if ((kvs[0]?.modRevision ?? 0n) < missing.revision) {
      this.#replaceWithout(missing);
    }
  }

  #replaceWithout({ revision }: LastChange): void {
    this.#replace(`at revision ${revision}, it has not the change that this server had read there`);
  }

  /** @param leftMs - how long each page may take at most, in milliseconds */
  async #list(leftMs = Infinity): Promise<Listing> {
    const { clock, requestTimeoutMs } = this.#options;
    const pageMs = Math.min(requestTimeoutMs, leftMs);
    const askedAtMs = clock.now();
    try {
      const listing = await list({ ...this.#options, firstPageMs: Math.min(this.#firstPageMs, pageMs), pageMs });
      this.#firstPageMs = firstPageMs;
      this.#clusterId = listing.header.clusterId;
      this.#revision = listing.header.revision;
      this.#last = listing.last;
      this.#check.listed(this.#revision);
      this.#completeAtMs = askedAtMs;
      return listing;
    } catch (error) {
      this.#firstPageMs = Math.min(2 * this.#firstPageMs, requestTimeoutMs);
      throw error;
    }
  }

  /**
   * Watches until the watch is over; `gap` when some changes cannot be had any more, or the store may be another one.
   *
   * @param isFresh - whether all was listed just now
   */
  async #watchOnce(isFresh: boolean): Promise<"broken" | "gap"> {
    const { client, keys, logger } = this.#options;
    const last = this.#last;
    if (last === undefined) {
      return "gap";
    }
    // From the last change that was delivered on: if the watch does not begin with it, this is another history. Where that
    // change was compacted away, only a listing can tell.
    const overlaps = last.revision >= this.#compactedAt;
    if (!overlaps && !isFresh) {
      return "gap";
    }
    let verified = !overlaps;
    /** Whether the member that is watched has that change, or another in its place. */
    let isFarEnough = false;
    let isGivenUp = false;
    try {
      return await new Promise<"broken" | "gap">((resolve) => {
        const watch = client.watch(
          { ...keys.watched, startRevision: overlaps ? last.revision : this.#revision + 1n },
          {
            response: (response) => {
              if (watch !== this.#watch) {
                return;
              }
              if (response.canceled || response.compactRevision > 0n) {
                logger.debug({ reason: response.cancelReason }, "etcd has ended the watch");
                this.#compactedAt = response.compactRevision > 0n ? response.compactRevision : this.#compactedAt;
                resolve(response.compactRevision > 0n ? "gap" : "broken");
                return;
              }
              this.#check.heard(response.events.length > 0 ? response.events.at(-1)?.kv.modRevision : undefined);
              isFarEnough ||= response.header.revision >= last.revision;
              if (!verified && this.#verify(response, last)) {
                verified = true;
                this.#check.heard(this.#revision);
              }
              if (this.#replaced !== undefined) {
                resolve("gap");
              } else if (verified) {
                this.#pauses.reset();
                this.#watching = true;
                this.#take(response.events);
              }
            },
            closed: (error) => {
              if (error !== undefined) {
                logger.debug({ err: error }, "the watch was broken off");
              }
              const isSilent = isGivenUp && isFarEnough && !verified;
              this.#missing = isSilent ? last : this.#missing;
              resolve(isSilent || this.#replaced !== undefined ? "gap" : "broken");
            },
          },
        );
        this.#watch = watch;
        const giveUp = () => {
          isGivenUp = true;
          watch.cancel();
        };
        this.#check.watch({ cancel: giveUp }, overlaps ? last.revision - 1n : this.#revision);
        this.#check.committed(last.revision);
        if (this.#closed) {
          watch.cancel();
        }
      });
    } finally {
      this.#watching = false;
      this.#check.stop();
      this.#watch?.cancel();
      this.#watch = undefined;
    }
  }

  /**
   * Whether the watch has shown that it goes on from what was delivered. The revision in its header says nothing: a member
   * that is behind the others watches, too.
   */
  #verify({ header, events }: EtcdWatchResponse, last: LastChange): boolean {
    if (!this.#isSameCluster(header) || events.length === 0 || this.#replaced !== undefined) {
      return false;
    }
    const goesOn = events.some(({ kv }) => kv.modRevision === last.revision && kv.key.equals(last.key));
    if (!goesOn) {
      this.#replaceWithout(last);
    }
    return goesOn;
  }

  #take(events: readonly EtcdEvent[]): void {
    const fresh = events.filter(({ kv }) => kv.modRevision > this.#revision);
    const last = fresh.at(-1);
    if (last === undefined) {
      return;
    }
    this.#advance(last.kv.key, last.kv.modRevision);
    this.#deliver(() => {
      this.#listener.changed(fresh);
    });
    this.#wakeAwaited();
  }

  #advance(key: Buffer, revision: bigint): void {
    this.#revision = revision;
    // A view of a message would keep all of it in memory.
    this.#last = { key: Buffer.from(key), revision };
    this.#check.delivered(revision);
  }

  /** What the fold throws ends the process: whoever goes on after it has another table than the others. */
  #deliver(deliver: () => void): void {
    if (this.#closed) {
      return;
    }
    try {
      deliver();
    } catch (error) {
      this.#closed = true;
      this.#options.fatal(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #reached(revision: bigint): Promise<void> {
    if (this.#revision >= revision || this.#closed) {
      return Promise.resolve();
    }
    this.#check.committed(revision);
    return new Promise((resolve) => {
      this.#awaited.push({ revision, resolve });
    });
  }

  #wakeAwaited(): void {
    if (this.#awaited.length > 0) {
      const awaited = this.#awaited;
      this.#awaited = [];
      for (const one of awaited) {
        if (one.revision <= this.#revision || this.#closed) {
          one.resolve();
        } else {
          this.#awaited.push(one);
        }
      }
    }
  }
}
