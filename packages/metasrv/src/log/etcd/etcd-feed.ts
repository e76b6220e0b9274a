import type { IEvent, IKeyValue, IRangeResponse } from "etcd3";
import type { Logger } from "pino";
import type { Clock } from "../../locks/clock.js";
import type { LogEvent, LogListener, LogListing, StoredMember, StoredTicket, TicketOp } from "../ticket-log.js";
import { Backoff } from "./backoff.js";
import type { EtcdClient, WatchStream } from "./etcd-client.js";
import { decodeKeyValue } from "./etcd-codec.js";
import type { EtcdKeys } from "./etcd-keys.js";
import { untilReached } from "./until-reached.js";
import { WatchCheck } from "./watch-check.js";

/** What a feed works with. */
export interface EtcdFeedOptions {
  readonly client: EtcdClient;
  readonly keys: EtcdKeys;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly hosts: readonly string[];
  /** How long the first listing is tried, in milliseconds. */
  readonly connectTimeoutMs: number;
  /** How often the watch is held against the store, and how far it may be behind, in milliseconds. */
  readonly checkMs: number;
  /** How long one request may take, in milliseconds. */
  readonly requestTimeoutMs: number;
}

const pageSize = 10_000;

/** How long a listing's first page may take, in milliseconds: no longer, as the etcd member asked may be silent. */
const firstPageMs = 1_000;

/** After so many checks without a success, the feed is taken to be behind: not in an election of etcd's. */
const checksOverdue = 5;

/** Delivers everything under the prefix: a listing, then every change in order, and a new listing after a gap. */
export class EtcdFeed {
  readonly #options: EtcdFeedOptions;
  readonly #backoff: Backoff;
  readonly #check: WatchCheck;
  /** Revision up to which everything was delivered. */
  #revision = 0n;
  /** How long a listing's first page may take: twice as long after each that failed, for an etcd that is slow. */
  #firstPageMs = firstPageMs;
  /** Latest moment of which it is known that everything committed by then was delivered; absent before the listing. */
  #completeAtMs: number | undefined;
  #closed = false;
  #stream: WatchStream | undefined;
  /** Who is told, while a watch is open that goes on where the delivered ends. */
  #watching: LogListener | undefined;
  #running: Promise<void> | undefined;

  constructor(options: EtcdFeedOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.clock);
    const { clock, logger, checkMs } = options;
    this.#check = new WatchCheck({
      clock,
      logger,
      checkMs,
      readRevision: () => this.#readRevision(),
      onComplete: (atMs) => {
        this.#completeAtMs = Math.max(this.#completeAtMs ?? atMs, atMs);
      },
    });
  }

  /** See `TicketLog.open`. */
  async open(listener: LogListener): Promise<void> {
    const { hosts, logger } = this.#options;
    const listing = await untilReached(
      { ...this.#options, backoff: this.#backoff, ended: () => this.#closed },
      (leftMs) => this.#list(leftMs),
      (reason) => {
        logger.warn({ reason, hosts }, "etcd does not answer yet; trying again");
      },
    );
    listener.reset(listing);
    this.#running = this.#follow(listener);
  }

  /** See `TicketLog.lag`. */
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

  /**
   * This node's own transaction made these changes, and no others. Where they are what comes next in the log, they are
   * delivered at once, and the watch's news of them is dropped; else the watch brings them in their place.
   */
  committed(revision: bigint, ops: readonly TicketOp[]): void {
    this.#check.committed(revision);
    if (revision === this.#revision + 1n && this.#watching !== undefined) {
      this.#revision = revision;
      this.#watching.apply(ops.flatMap((op) => eventOfOp(op, revision) ?? []));
    }
  }

  /** Ends delivery. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#backoff.close();
    this.#stream?.cancel();
    await this.#running;
  }

  async #follow(listener: LogListener): Promise<void> {
    const { logger } = this.#options;
    let listed = true;
    while (!this.#closed) {
      try {
        if (!listed) {
          listener.reset(await this.#list());
          listed = true;
          logger.info({ revision: this.#revision.toString() }, "listed the store again");
        }
        listed = (await this.#watch(listener)) === "broken";
      } catch (error) {
        logger.debug({ err: error }, "watch failed");
      }
      await this.#backoff.wait();
    }
  }

  /** @param leftMs - how long each page may take at most, in milliseconds */
  async #list(leftMs = Infinity): Promise<LogListing> {
    try {
      const listing = await this.#listPages(leftMs);
      this.#firstPageMs = firstPageMs;
      return listing;
    } catch (error) {
      this.#firstPageMs = Math.min(2 * this.#firstPageMs, this.#options.requestTimeoutMs);
      throw error;
    }
  }

  async #listPages(leftMs: number): Promise<LogListing> {
    const { keys, client, clock, requestTimeoutMs } = this.#options;
    const pageMs = Math.min(requestTimeoutMs, leftMs);
    const tickets: StoredTicket[] = [];
    const members: StoredMember[] = [];
    const askedAtMs = clock.now();
    let revision: string | undefined;
    let key = keys.all.start;
    for (;;) {
      const page: IRangeResponse = await client.range(
        { key, range_end: keys.all.end, limit: pageSize, ...(revision === undefined ? {} : { revision }) },
        revision === undefined ? Math.min(this.#firstPageMs, pageMs) : pageMs,
      );
      revision ??= page.header.revision;
      for (const kv of page.kvs) {
        this.#sort(kv, tickets, members);
      }
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined) {
        break;
      }
      key = Buffer.concat([last.key, Buffer.of(0)]);
    }
    this.#revision = BigInt(revision);
    this.#check.listed(this.#revision);
    this.#completeAtMs = askedAtMs;
    return { revision: this.#revision, tickets, members };
  }

  #sort(kv: IKeyValue, tickets: StoredTicket[], members: StoredMember[]): void {
    const decoded = this.#decode(kv);
    if (decoded?.kind === "ticket") {
      tickets.push(decoded);
    } else if (decoded?.kind === "member") {
      members.push(decoded);
    }
  }

  /** Watches until the stream breaks (`broken`) or what is missed cannot be had any more (`gap`). */
  async #watch(listener: LogListener): Promise<"broken" | "gap"> {
    const { client, keys, logger } = this.#options;
    const stream = client.watchStream();
    this.#stream = stream;
    this.#check.watch(stream, this.#revision);
    try {
      return await new Promise<"broken" | "gap">((resolve) => {
        let ended = false;
        const end = (reason: string, result: "broken" | "gap") => {
          ended = true;
          this.#watching = undefined;
          logger.debug({ reason, revision: this.#revision.toString() }, "watch ended");
          resolve(result);
        };
        stream.on("error", (error: Error) => {
          end(error.message, "broken");
        });
        stream.on("end", () => {
          end("closed by etcd", "broken");
        });
        stream.on("data", (response) => {
          if (ended) {
            return;
          }
          // How far it is, its events say best: the header can be ahead of those that are still to come.
          const revision = response.events.at(-1)?.kv.mod_revision ?? response.header.revision;
          this.#check.heard(response.created ? undefined : BigInt(revision));
          if (response.canceled) {
            end(response.cancel_reason, response.compact_revision === "0" ? "broken" : "gap");
          } else if (response.created && BigInt(response.header.revision) < this.#revision) {
            end("etcd is behind what it has shown before: it was restored or replaced", "gap");
          } else {
            this.#backoff.reset();
            this.#watching = listener;
            this.#deliver(response.events, listener);
          }
        });
        stream.write({
          create_request: {
            key: keys.all.start,
            range_end: keys.all.end,
            start_revision: (this.#revision + 1n).toString(),
          },
        });
        if (this.#closed) {
          stream.cancel();
        }
      });
    } finally {
      this.#check.stop();
      stream.cancel();
    }
  }

  /** By a read that needs a majority, so that a member which is cut off does not answer it. */
  async #readRevision(): Promise<bigint> {
    const { client, keys, checkMs, requestTimeoutMs } = this.#options;
    const timeoutMs = Math.min(requestTimeoutMs, checkMs);
    const { header } = await client.range({ key: keys.all.start, count_only: true }, timeoutMs);
    return BigInt(header.revision);
  }

  #deliver(events: readonly IEvent[], listener: LogListener): void {
    const last = events.at(-1);
    if (last === undefined || BigInt(last.kv.mod_revision) <= this.#revision) {
      return;
    }
    const decoded: LogEvent[] = [];
    for (const { type, kv } of events) {
      const event = BigInt(kv.mod_revision) > this.#revision ? this.#event(type, kv) : undefined;
      if (event !== undefined) {
        decoded.push(event);
      }
    }
    this.#revision = BigInt(last.kv.mod_revision);
    listener.apply(decoded);
  }

  #event(type: IEvent["type"], kv: IKeyValue): LogEvent | undefined {
    if (type === "Delete") {
      const key = this.#options.keys.parse(kv.key);
      switch (key?.kind) {
        case "ticket":
          return { kind: "ticket-deleted", name: key.name, id: key.id };
        case "member":
          return { kind: "member-deleted", id: key.id };
        case undefined:
          return undefined;
      }
    }
    const decoded = this.#decode(kv);
    switch (decoded?.kind) {
      case "ticket":
        return { ...decoded, kind: "ticket-put" };
      case "member":
        return { ...decoded, kind: "member-put" };
      case undefined:
        return undefined;
    }
  }

  #decode(kv: IKeyValue): ReturnType<typeof decodeKeyValue> {
    const { keys, logger } = this.#options;
    const decoded = decodeKeyValue(keys, kv);
    if (decoded === undefined) {
      const key = kv.key.toString();
      const lock = keys.lockOf(kv.key);
      if (lock === undefined) {
        logger.warn({ key }, "a key under the prefix is none of metasrv's; left alone");
      } else {
        // etcd compares that nothing at all is there, and cannot tell what is a ticket.
        logger.warn(
          { key, lock },
          "a key among a lock's tickets is none of metasrv's: try-locks are refused until it is deleted",
        );
      }
    }
    return decoded;
  }
}

/** What an op brought about that was done at the revision. */
function eventOfOp(op: TicketOp, revision: bigint): LogEvent | undefined {
  const { name, id } = op;
  switch (op.kind) {
    case "create":
      return { kind: "ticket-put", name, id, ticket: op.ticket, createRevision: revision, modRevision: revision };
    case "update":
      return {
        kind: "ticket-put",
        name,
        id,
        ticket: op.ticket,
        createRevision: op.createRevision,
        modRevision: revision,
      };
    case "delete":
      return { kind: "ticket-deleted", name, id };
    case "read":
      return undefined;
  }
}
