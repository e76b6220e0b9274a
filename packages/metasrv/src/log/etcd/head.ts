import { notAnswered } from "./etcd-errors.js";
import type { LogFold } from "../command-log.js";
import type { LogKeys } from "./keys.js";
import type { EtcdClient, EtcdHeader, EtcdOp } from "./rpc/etcd-client.js";

/** How far the log is. */
export interface Head {
  /** What is to be delivered until everything is that was committed before the read; 0 when there is nothing. */
  readonly revision: bigint;
  /** Whether that is all; otherwise there is more after it. */
  readonly isWhole: boolean;
}

/** What a head is read with. */
export interface HeadReaderOptions {
  readonly client: Pick<EtcdClient, "txn">;
  readonly keys: LogKeys;
  readonly fold: LogFold;
  /** The members that may have written something. */
  readonly members: () => readonly string[];
  readonly hosts: readonly string[];
  readonly timeoutMs: number;
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
 * members that are known, and whether there are others. Not by the progress of a watch, which etcd tells ahead of its
 * events, nor by the store's revision, which other users of the same etcd raise too.
 */
export class HeadReader {
  readonly #options: HeadReaderOptions;
  /** What {@link catchUp} does now, and what is to begin after it for those that asked meanwhile. */
  #current: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(options: HeadReaderOptions) {
    this.#options = options;
  }

  /** Resolves once everything was delivered that was committed before the call. */
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
    const [, found = [], ...entries] = read;
    const isNew = ({ modRevision }: { readonly modRevision: bigint }) => modRevision > delivered;
    const isWhole = !found.some(isNew) && entries.every((page) => page.length < entriesPerMember);
    let head = 0n;
    for (const { modRevision } of read.flat()) {
      if (modRevision > head && modRevision > delivered) {
        head = modRevision;
      }
    }
    return { revision: head, isWhole };
  }

  async #catchUp(): Promise<void> {
    for (;;) {
      let head: Head;
      try {
        head = await this.read();
      } catch (error) {
        throw notAnswered(this.#options.hosts, error);
      }
      await this.#options.reached(head.revision);
      if (head.isWhole) {
        return;
      }
    }
  }
}
