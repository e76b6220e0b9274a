import type { ITxnRequest } from "etcd3";
import { noop } from "cockatiel";
import type { Logger } from "pino";
import type { Clock } from "../../locks/clock.js";
import { gatherByEventLoop } from "../../locks/gather.js";
import type { LogListener, Member, MembershipListener, OpResult, TicketLog, TicketOp } from "../ticket-log.js";
import { EtcdClient } from "./etcd-client.js";
import { EtcdCommitter } from "./etcd-committer.js";
import { EtcdFeed } from "./etcd-feed.js";
import { EtcdKeys } from "./etcd-keys.js";
import { withPatience } from "./patience.js";
import { EtcdMembership, type EtcdMembershipOptions } from "./etcd-membership.js";

/** What an etcd log is made of. */
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

/** How often the watch is held against the store, in milliseconds. */
const checkMs = 1_000;

/** A ticket log in etcd, 3.4 or later. Nothing is connected before `open`. */
export function createEtcdTicketLog(options: EtcdTicketLogOptions): TicketLog {
  return new EtcdTicketLog(options);
}

class EtcdTicketLog implements TicketLog {
  readonly #client: EtcdClient;
  readonly #committer: EtcdCommitter;
  readonly #feed: EtcdFeed;
  readonly #membershipOptions: EtcdMembershipOptions;
  #membership: EtcdMembership | undefined;

  constructor({ hosts, prefix, clock, logger, connectTimeoutMs, requestTimeoutMs, ...options }: EtcdTicketLogOptions) {
    const client = new EtcdClient(
      {
        hosts: [...hosts],
        // What to try again, where and when is decided here: the default breaker would stay away from a healthy etcd.
        faultHandling: { host: () => noop, global: noop },
        grpcOptions: {
          "grpc.max_receive_message_length": -1,
          "grpc.initial_reconnect_backoff_ms": 100,
          "grpc.max_reconnect_backoff_ms": 1_000,
          // etcd refuses pings more frequent than every 5 s.
          "grpc.keepalive_time_ms": 6_000,
          "grpc.keepalive_timeout_ms": 3_000,
          "grpc.use_local_subchannel_pool": 1,
        },
      },
      clock,
    );
    const common = { client, keys: new EtcdKeys(prefix), clock, logger, hosts, connectTimeoutMs };
    this.#client = client;
    this.#committer = new EtcdCommitter({
      ...common,
      txn: withPatience(clock, (request: ITxnRequest, timeoutMs: number) => client.txn(request, timeoutMs)),
      committed: (revision, ops) => {
        this.#feed.committed(revision, ops);
      },
      gather: gatherByEventLoop,
      requestTimeoutMs,
      maxTxnOps: options.maxTxnOps,
    });
    this.#feed = new EtcdFeed({ ...common, checkMs, requestTimeoutMs });
    this.#membershipOptions = { ...common, memberTtlSeconds: options.memberTtlSeconds };
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
    this.#client.close();
  }
}
