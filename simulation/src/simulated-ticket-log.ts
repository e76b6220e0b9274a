import type { Logger } from "pino";
import type { Clock } from "../../packages/metasrv/src/locks/clock.js";
import { EtcdCommitter, type EtcdCommitterOptions } from "../../packages/metasrv/src/log/etcd/etcd-committer.js";
import { EtcdFeed } from "../../packages/metasrv/src/log/etcd/etcd-feed.js";
import { EtcdKeys } from "../../packages/metasrv/src/log/etcd/etcd-keys.js";
import { EtcdMembership, type EtcdMembershipOptions } from "../../packages/metasrv/src/log/etcd/etcd-membership.js";
import type {
  LogListener,
  Member,
  MembershipListener,
  OpResult,
  TicketLog,
  TicketOp,
} from "../../packages/metasrv/src/log/ticket-log.js";
import type { StoreConnection } from "./store/store-client.js";

/** The prefix of everything in the store. */
export const storeKeys = new EtcdKeys("metasrv");

/** What commits ops: the real committer, or one that is wrong on purpose. */
export type Committer = Pick<EtcdCommitter, "append" | "close">;

/** What a simulated log is made of. */
export interface SimulatedTicketLogOptions {
  readonly connection: StoreConnection;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly requestTimeoutMs: number;
  readonly memberTtlSeconds: number;
  readonly createCommitter: (options: EtcdCommitterOptions) => Committer;
}

const connectTimeoutMs = 20_000;
const attemptTimeoutMs = 2_000;
// Three times as long as in a server: the longer a feed may be behind, the more shows.
const checkMs = 3_000;

/** The etcd log's own committer, feed and membership, put together as it does, over a simulated etcd. */
export class SimulatedTicketLog implements TicketLog {
  readonly #committer: Committer;
  readonly #feed: EtcdFeed;
  readonly #membershipOptions: EtcdMembershipOptions;
  #membership: EtcdMembership | undefined;

  constructor(options: SimulatedTicketLogOptions) {
    const { connection, clock, logger, requestTimeoutMs, memberTtlSeconds } = options;
    const { client, txn } = connection;
    const common = { client, keys: storeKeys, clock, logger, hosts: ["etcd"], connectTimeoutMs };
    this.#committer = options.createCommitter({
      ...common,
      txn: (request) => txn(request, attemptTimeoutMs),
      committed: (revision, ops) => {
        this.#feed.committed(revision, ops);
      },
      gather: queueMicrotask,
      requestTimeoutMs,
      maxTxnOps: 128,
    });
    this.#feed = new EtcdFeed({ ...common, checkMs, requestTimeoutMs });
    this.#membershipOptions = { ...common, memberTtlSeconds };
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
    this.#membership = new EtcdMembership(this.#membershipOptions, member, listener);
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
  }
}
