import type { Clock, Gather, Timer } from "@metasrv/wire";
import type { Logger } from "pino";
import { type Fatal, isProgramFault } from "../../model/fatal-error.js";
import type { FoldSnapshot, LogFold } from "../command-log.js";
import { ChunkWriter, encodeBase, type StoredBase } from "../snapshot-codec.js";
import type { KeyRange, LogKeys } from "./keys.js";
import type { EtcdClient, EtcdCompare, EtcdOp, EtcdTxnAnswer } from "./rpc/etcd-client.js";

/** What snapshots are written with. */
export interface SnapshotsOptions {
  readonly client: Pick<EtcdClient, "txn" | "range">;
  readonly keys: LogKeys;
  readonly clock: Clock;
  readonly gather: Gather;
  readonly logger: Logger;
  readonly fold: LogFold;
  readonly requestTimeoutMs: number;
  /** The log may grow to this size, in bytes, or to that of the last snapshot, before the next one is written. */
  readonly minLogBytes: number;
  /** This process as a member, while it leads; undefined while it does not. */
  readonly leads: () => string | undefined;
  /** The members that there are. */
  readonly members: () => readonly string[];
  /** A write of this process is committed, which is not watched, or deletes what is. */
  readonly skipped: (revision: bigint) => void;
  readonly deleted: (key: Buffer, revision: bigint) => void;
  /** Ends the process. */
  readonly fatal: Fatal;
}

/** Size of a chunk, in bytes, so that no request is large; a pause after each leaves the store to others. */
const chunkBytes = 480 * 1024;
const chunkPauseMs = 75;
/** Tickets that are taken at a time: a millisecond's work. */
const ticketsAtOnce = 250;
/** Keys that are deleted at a time: every server is told of each. */
const keysAtOnce = 500;
const trimPauseMs = 10;
/** How long is waited after a failure, in milliseconds. */
const retryMs = 5_000;

/** What a snapshot has, as to trimming. */
interface Covered {
  readonly snapshot: string;
  /** When the base was pointed to it: nothing is deleted under another base. */
  readonly baseModRevision: bigint;
  /** Of each member, all entries up to this sequence; of those that were gone, all. */
  readonly upTo: ReadonlyMap<string, number>;
}

/**
 * Keeps the log short: while this process leads, it writes a snapshot when the log has grown, points the base to it, and
 * then deletes what it covers, and the remains of other snapshots. Everything is written only while the base is the one
 * that is known, so that of two servers which take themselves for the leader one has no effect.
 */
export class Snapshots {
  readonly #options: SnapshotsOptions;
  #base: { readonly base: StoredBase; readonly modRevision: bigint } | undefined;
  /** Bytes of the entries since the last snapshot. */
  #logBytes = 0;
  /** Members of which there may be entries in the store. */
  readonly #writers = new Set<string>();
  #running: Promise<void> | undefined;
  #pause: { readonly timer: Timer; readonly resolve: () => void } | undefined;
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(options: SnapshotsOptions) {
    this.#options = options;
  }

  /** The log was read. */
  listed(base: StoredBase, modRevision: bigint, writers: Iterable<string>, logBytes: number): void {
    this.#base = { base, modRevision };
    this.#logBytes = logBytes;
    for (const memberId of writers) {
      this.#writers.add(memberId);
    }
  }

  /** Another snapshot counts from now on. */
  baseChanged(base: StoredBase, modRevision: bigint): void {
    if (modRevision !== this.#base?.modRevision) {
      this.#base = { base, modRevision };
      this.#logBytes = 0;
    }
  }

  /** The log has one more entry. */
  grown(memberId: string, bytes: number): void {
    this.#writers.add(memberId);
    this.#logBytes += bytes;
    const { minLogBytes, leads, clock } = this.#options;
    const isDue = this.#logBytes > Math.max(minLogBytes, this.#base?.base.bytes ?? 0);
    if (isDue && this.#running === undefined && clock.now() >= this.#notBeforeMs && leads() !== undefined) {
      this.#running = this.#run().finally(() => {
        this.#running = undefined;
      });
    }
  }

  /** Size of the log that no snapshot covers, and of the snapshot that counts, in bytes. */
  get bytes(): { readonly log: number; readonly snapshot: number } {
    return { log: this.#logBytes, snapshot: this.#base?.base.bytes ?? 0 };
  }

  /** Ends what is under way, wherever it is. */
  close(): void {
    this.#closed = true;
    this.#pause?.timer.cancel();
    this.#pause?.resolve();
  }

  async #run(): Promise<void> {
    const { logger, clock } = this.#options;
    const startedAtMs = clock.now();
    const bytesBefore = this.#logBytes;
    try {
      const covered = await this.#write();
      if (covered === undefined) {
        return;
      }
      this.#logBytes -= bytesBefore;
      const bytes = this.#base?.base.bytes;
      logger.info(
        { snapshot: covered.snapshot, bytes, tookMs: Math.round(clock.now() - startedAtMs) },
        "wrote a snapshot",
      );
      await this.#trim(covered);
    } catch (error) {
      if (isProgramFault(error)) {
        this.#options.fatal(error);
        return;
      }
      if (this.#closed) {
        return;
      }
      this.#notBeforeMs = clock.now() + retryMs;
      logger.warn({ err: error }, "could not write a snapshot or trim the log; the log grows until the next attempt");
    }
  }

  /** Writes a snapshot of what is folded now, and points the base to it; undefined when this was not to be. */
  async #write(): Promise<Covered | undefined> {
    const { fold, keys, members, leads } = this.#options;
    const memberId = leads();
    const known = this.#base;
    if (memberId === undefined || known === undefined) {
      return undefined;
    }
    const snapshot = fold.snapshot();
    const { revision } = snapshot.base;
    const name = `${revision.toString().padStart(16, "0")}-${memberId}`;
    const alive = new Set(members());
    const upTo = new Map([...this.#writers].map((id) => [id, alive.has(id) ? fold.foldedUpTo(id) : Infinity]));
    const compare = [exists(keys.member(memberId)), unchanged(keys.base, known.modRevision)];
    try {
      const written = await this.#writeChunks(snapshot, name, compare);
      if (written === undefined) {
        return undefined;
      }
      const { low: hashLow, high: hashHigh } = snapshot.hash;
      const base: StoredBase = { ...snapshot.base, snapshot: name, ...written, hashLow, hashHigh };
      const answer = await this.#txn(compare, [{ kind: "put", key: keys.base, value: encodeBase(base) }]);
      if (!answer.succeeded) {
        return undefined;
      }
      this.#base = { base, modRevision: answer.header.revision };
      return { snapshot: name, baseModRevision: answer.header.revision, upTo };
    } finally {
      snapshot.end();
    }
  }

  /** @returns how much was written; undefined when this process must not go on */
  async #writeChunks(
    snapshot: FoldSnapshot,
    name: string,
    compare: readonly EtcdCompare[],
  ): Promise<{ readonly chunks: number; readonly bytes: number } | undefined> {
    const { keys, leads, skipped } = this.#options;
    const writer = new ChunkWriter();
    let chunks = 0;
    let bytes = 0;
    for (let more = true; more;) {
      if (this.#closed || !snapshot.isValid || leads() === undefined) {
        return undefined;
      }
      const part = snapshot.next(ticketsAtOnce);
      more = part !== undefined;
      if (part !== undefined) {
        writer.add(part);
      }
      if (writer.length >= chunkBytes || (!more && writer.length > 0)) {
        const value = writer.take();
        const answer = await this.#txn(compare, [{ kind: "put", key: keys.chunk(name, chunks), value }]);
        if (!answer.succeeded) {
          return undefined;
        }
        skipped(answer.header.revision);
        chunks++;
        bytes += value.length;
        await this.#wait(more ? chunkPauseMs : 0);
      } else if (more) {
        await this.#turn();
      }
    }
    return { chunks, bytes };
  }

  /** Deletes the entries that are in the snapshot, and other snapshots. */
  async #trim({ snapshot, baseModRevision, upTo }: Covered): Promise<void> {
    const { keys } = this.#options;
    const isBase = unchanged(keys.base, baseModRevision);
    for (const [memberId, sequence] of upTo) {
      const isGone = sequence === Infinity;
      if (sequence > 0) {
        await this.#deleteAll(keys.entriesOf(memberId, 0, isGone ? undefined : sequence + 1), isBase, true);
      }
      if (isGone) {
        this.#writers.delete(memberId);
      }
    }
    const { key, end } = keys.snapshots;
    await this.#deleteAll({ key, end: keys.chunksOf(snapshot).key }, isBase, false);
    await this.#deleteAll({ key: keys.chunksOf(snapshot).end, end }, isBase, false);
  }

  async #deleteAll(range: KeyRange, condition: EtcdCompare, isWatched: boolean): Promise<void> {
    const { client, requestTimeoutMs, deleted, skipped } = this.#options;
    for (;;) {
      const page = await client.range({ ...range, keysOnly: true, limit: keysAtOnce }, requestTimeoutMs);
      const [first] = page.kvs;
      const last = page.kvs.at(-1);
      if (first === undefined || last === undefined || this.#closed) {
        return;
      }
      const end = Buffer.concat([last.key, Buffer.of(0)]);
      const answer = await this.#txn([condition], [{ kind: "delete", key: first.key, end }]);
      if (!answer.succeeded) {
        return;
      }
      if (isWatched) {
        deleted(first.key, answer.header.revision);
      } else {
        skipped(answer.header.revision);
      }
      await this.#wait(trimPauseMs);
    }
  }

  #txn(compare: readonly EtcdCompare[], success: readonly EtcdOp[]): Promise<EtcdTxnAnswer> {
    return this.#options.client.txn({ compare, success, failure: [] }, this.#options.requestTimeoutMs);
  }

  /** Lets everything else that is to be done go first. */
  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#options.gather(resolve, false);
    });
  }

  #wait(delayMs: number): Promise<void> {
    if (this.#closed || delayMs === 0) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#pause = { resolve, timer: this.#options.clock.after(delayMs, resolve) };
    });
  }
}

function exists(key: Buffer): EtcdCompare {
  return { key, target: "create", result: "greater", revision: 0n };
}

function unchanged(key: Buffer, modRevision: bigint): EtcdCompare {
  return { key, target: "mod", result: "equal", revision: modRevision };
}
