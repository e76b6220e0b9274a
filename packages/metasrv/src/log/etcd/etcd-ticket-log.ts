import type { ITxnRequest } from "etcd3";
import type { Logger } from "pino";
import type { Clock } from "../../locks/clock.js";
import { gatherByEventLoop } from "../../locks/gather.js";
import type { LogListener, Member, MembershipListener, OpResult, TicketLog, TicketOp } from "../ticket-log.js";
import { createEtcdClient, type EtcdClient } from "./etcd-client.js";
import { EtcdCommitter, type EtcdCommitterOptions } from "./etcd-committer.js";
import { EtcdFeed } from "./etcd-feed.js";
import { EtcdKeys } from "./etcd-keys.js";
import { EtcdMembership } from "./etcd-membership.js";
import { withPatience } from "./patience.js";

/** How an etcd log is set up. */
export interface EtcdTicketLogOptions {
  /** Each as host:port, or with http:// or https:// before it. */
  readonly hosts: readonly string[];
  /** Everything is kept under `<prefix>/`. */
  readonly prefix: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long opening and joining wait for etcd, in milliseconds. */
  readonly connectTimeoutMs: number;
  /** How long an op is tried before it is given up, in milliseconds. */
  readonly requestTimeoutMs: number;
  /** TTL of the member lease, in whole seconds; etcd takes no less than 2. */
  readonly memberTtlSeconds: number;
  /** etcd's `--max-txn-ops`; 128 unless etcd was told otherwise. */
  readonly maxTxnOps: number;
}

/** What an etcd log is made of. */
export interface EtcdTicketLogParts
  extends Omit<EtcdTicketLogOptions, "prefix">, Pick<EtcdCommitterOptions, "txn" | "gather"> {
  /** Closed with the log. */
  readonly client: EtcdClient;
  readonly keys: EtcdKeys;
  /** How often the watch is held against the store, in milliseconds. */
  readonly checkMs: number;
  readonly createCommitter: (options: EtcdCommitterOptions) => Committer;
}

/** What commits ops. */
export type Committer = Pick<EtcdCommitter, "append" | "close">;

/** A ticket log in etcd, 3.4 or later. Nothing is connected before `open`. */
export function createEtcdTicketLog({ prefix, ...options }: EtcdTicketLogOptions): TicketLog {
  const { hosts, clock } = options;
  const client = createEtcdClient(hosts, clock);
  return new EtcdTicketLog({
    ...options,
    client,
    keys: new EtcdKeys(prefix),
    txn: withPatience(clock, (request: ITxnRequest, timeoutMs: number) => client.txn(request, timeoutMs)),
    gather: gatherByEventLoop,
    checkMs: 1_000,
    createCommitter: (committing) => new EtcdCommitter(committing),
  });
}

/** Commits by a committer, delivers by a feed, and keeps a membership. */
export class EtcdTicketLog implements TicketLog {
  readonly #parts: EtcdTicketLogParts;
  readonly #committer: Committer;
  readonly #feed: EtcdFeed;
  #membership: EtcdMembership | undefined;

  constructor(parts: EtcdTicketLogParts) {
    this.#parts = parts;
    this.#feed = new EtcdFeed(parts);
    this.#committer = parts.createCommitter({
      ...parts,
      committed: (revision, ops) => {
        this.#feed.committed(revision, ops);
      },
    });
  }

  open(listener: LogListener): Promise<void> {
    return this.#feed.open(listener);
  }

  append(op: TicketOp): Promise<OpResult> {
    return this.#committer.append(op);
  }

  lag(): string | undefined {
    return this.#feed.lag();
  }

  async join(member: Member, listener: MembershipListener): Promise<void> {
    this.#membership = new EtcdMembership(this.#parts, member, listener);
    await this.#membership.join();
  }

  async leave(): Promise<void> {
    await this.#membership?.leave();
    this.#membership = undefined;
  }

  async close(): Promise<void> {
    await this.leave();
    this.#committer.close();
    await this.#feed.close();
    this.#parts.client.close();
  }
}
