import type { Clock } from "@metasrv/wire";
import type { LogFold } from "../command-log.js";
import { Pauses } from "./attempts.js";
import { notAnswered } from "./etcd-errors.js";
import type { LogKeys } from "./keys.js";
import type { EtcdClient, EtcdHeader, EtcdKeyValue, EtcdOp } from "./rpc/etcd-client.js";

/** How far the log is. */
export interface Head {
  /** What is to be delivered until everything is that was committed before the read; 0 when there is nothing. */
  readonly revision: bigint;
  /** Whether that is all; otherwise there is more after it. */
  readonly isWhole: boolean;
  /** Members that are known and were not there any more. They had written nothing after what is to be delivered. */
  readonly gone: readonly string[];
}

/** What a head is read with. */
export interface HeadReaderOptions {
  readonly client: Pick<EtcdClient, "txn">;
  readonly keys: LogKeys;
  readonly clock: Clock;
  readonly random: () => number;
  readonly fold: LogFold;
  /** The members that may have written something. */
  readonly members: () => readonly string[];
  readonly hosts: readonly string[];
  /** How long one read may take, in milliseconds. */
  readonly timeoutMs: number;
  /** How long it may take to catch up, in milliseconds. */
  readonly requestTimeoutMs: number;
  /** Revision up to which everything was delivered. */
  readonly revision: () => bigint;
  readonly heard: (header: EtcdHeader, deliveredAtSending: bigint) => void;
  /** Resolves once everything up to a revision was delivered. */
  readonly reached: (revision: bigint) => Promise<void>;
}

/** Entries of one member that are looked at: far more than it has under way. */
const entriesPerMember = 64;

/**
 * Reads how far the log is, by a majority of etcd's members: which entries there are beyond those that are folded, of the
 * members that are known, and whether others have joined. Not by the progress of a watch, which etcd tells ahead of its
 * events, nor by the store's revision, which other users of the same etcd raise too.
 */
export class HeadReader {
  readonly #options: HeadReaderOptions;
  /** What {@link catchUp} does now, and what is to begin after it for those that asked meanwhile. */
  #current: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  readonly #pauses: Pauses;
  #closed = false;

  constructor(options: HeadReaderOptions) {
    this.#options = options;
    this.#pauses = new Pauses(options.clock, options.random);
  }

  /**
   * Resolves once everything was delivered that was committed before the call.
   *
   * @throws LockError `store-unavailable`
   */
  catchUp(): Promise<void> {
    if (this.#current === undefined) {
      this.#current = this.#catchUp().finally(() => {
        this.#current = undefined;
      });
      return this.#current;
    }
    // The read under way may have been answered already.
    this.#next ??= this.#current
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.catchUp();
      });
    return this.#next;
  }

  /** @throws Error as etcd's client */
  async read(): Promise<Head> {
    const { client, keys, fold, members, timeoutMs, revision, heard } = this.#options;
    const known = members();
    const ops: EtcdOp[] = [
      { kind: "range", key: keys.base, keysOnly: true },
      { kind: "range", key: keys.joined, keysOnly: true },
      { kind: "range", ...keys.members, keysOnly: true },
      ...known.map((memberId) => ({
        kind: "range" as const,
        ...keys.entriesOf(memberId, fold.foldedUpTo(memberId) + 1),
        keysOnly: true,
        limit: entriesPerMember,
      })),
    ];
    const delivered = revision();
    const { header, read } = await client.txn({ compare: [], success: ops, failure: [] }, timeoutMs);
    heard(header, delivered);
    const [, joins = [], found = [], ...entries] = read;
    const isNew = ({ modRevision }: EtcdKeyValue) => modRevision > delivered;
    // A full page of what was delivered before has keys that are no entries of the member's.
    const isLast = (page: readonly EtcdKeyValue[]) => page.length < entriesPerMember || !page.some(isNew);
    const isWhole = ![...joins, ...found].some(isNew) && entries.every(isLast);
    let head = 0n;
    for (const { modRevision } of read.flat()) {
      if (modRevision > head && modRevision > delivered) {
        head = modRevision;
      }
    }
    const present = new Set(found.map(({ key }) => key.toString("latin1")));
    const gone = known.filter((memberId) => !present.has(keys.member(memberId).toString("latin1")));
    return { revision: head, isWhole, gone };
  }

  /** No read is repeated any more. */
  close(): void {
    this.#closed = true;
    this.#pauses.close();
  }

  async #catchUp(): Promise<void> {
    const { clock, hosts, requestTimeoutMs } = this.#options;
    const deadlineMs = clock.now() + requestTimeoutMs;
    for (;;) {
      const startedAtMs = clock.now();
      let head: Head;
      try {
        head = await this.read();
        this.#pauses.reset();
      } catch (error) {
        if (this.#closed || clock.now() >= deadlineMs) {
          throw notAnswered(hosts, error);
        }
        await this.#pauses.wait(startedAtMs);
        continue;
      }
      if (!(await this.#reachedBy(deadlineMs, head.revision))) {
        throw notAnswered(hosts, new Error("its watch does not bring what it has"));
      }
      if (this.#closed) {
        // Who waits for the watch is woken when it ends, whatever it has brought.
        throw notAnswered(hosts, new Error("its watch was ended"));
      }
      if (head.isWhole) {
        return;
      }
    }
  }

  async #reachedBy(deadlineMs: number, revision: bigint): Promise<boolean> {
    const { clock, reached } = this.#options;
    return new Promise((resolve) => {
      const timer = clock.after(Math.max(0, deadlineMs - clock.now()), () => {
        resolve(false);
      });
      void reached(revision).then(() => {
        timer.cancel();
        resolve(true);
      });
    });
  }
}
