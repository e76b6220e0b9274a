import { noop } from "cockatiel";
import {
  Etcd3,
  type IPutRequest,
  type IRangeRequest,
  type IRangeResponse,
  type ITxnRequest,
  type ITxnResponse,
  type IWatchRequest,
  type IWatchResponse,
} from "etcd3";
import { EventEmitter } from "node:events";
import type { Clock } from "../../locks/clock.js";
import { decodeTxnResponse, decodeWatchResponse, encodeTxn, encodeWatch } from "./etcd-wire.js";
import { GrpcConnection } from "./grpc-connection.js";

/** A stream on which watches can be made. It tells of its end once: by `end` if etcd ended it well, else by `error`. */
export interface WatchStream {
  on(event: "data", listener: (response: IWatchResponse) => void): unknown;
  on(event: "end", listener: () => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  write(request: IWatchRequest): void;
  /** Ends it at once. */
  cancel(): void;
}

/**
 * What is asked of etcd. Each call is made once, of one member, and fails when there is no answer within `timeoutMs`
 * milliseconds; the next call is then made of the next member. Lease ids are decimal, as in etcd3.
 */
export interface EtcdClient {
  txn(request: ITxnRequest, timeoutMs: number): Promise<ITxnResponse>;
  watchStream(): WatchStream;
  range(request: IRangeRequest, timeoutMs: number): Promise<IRangeResponse>;
  put(request: IPutRequest, timeoutMs: number): Promise<void>;
  /** @returns the lease, and the TTL that it got, in seconds */
  grantLease(ttlSeconds: number, timeoutMs: number): Promise<{ readonly id: string; readonly ttlSeconds: number }>;
  /** @returns the TTL that it has from now on, in seconds; 0 if it is gone */
  keepLeaseAlive(id: string, timeoutMs: number): Promise<number>;
  revokeLease(id: string, timeoutMs: number): Promise<void>;
  close(): void;
}

/**
 * A client of the etcd members; nothing is connected before the first call.
 *
 * @param hosts - each as host:port, or with http:// or https:// before it
 */
export function createEtcdClient(hosts: readonly string[], clock: Clock): EtcdClient {
  return new ConnectedEtcdClient(hosts, clock);
}

interface CallOptions {
  readonly deadline: number;
}

class ConnectedEtcdClient implements EtcdClient {
  /** The two calls that carry the load have connections of their own. */
  readonly #txns: GrpcConnection;
  readonly #watches: GrpcConnection;
  /** One for each member: of several, etcd3 takes one by chance for each call, be it silent or not. */
  readonly #members: readonly Etcd3[];
  /** Index of the member of which the other calls are made. */
  #member: number;

  constructor(hosts: readonly string[], clock: Clock) {
    this.#txns = new GrpcConnection(hosts, clock);
    this.#watches = new GrpcConnection(hosts, clock);
    this.#members = hosts.map(
      (host) =>
        new Etcd3({
          hosts: host,
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
        }),
    );
    this.#member = Math.floor(Math.random() * hosts.length);
  }

  async txn(request: ITxnRequest, timeoutMs: number): Promise<ITxnResponse> {
    return decodeTxnResponse(await this.#txns.unary("/etcdserverpb.KV/Txn", encodeTxn(request), timeoutMs));
  }

  watchStream(): WatchStream {
    const events = new EventEmitter<{ data: [IWatchResponse]; end: []; error: [Error] }>();
    const stream = this.#watches.stream("/etcdserverpb.Watch/Watch", {
      message: (message) => {
        events.emit("data", decodeWatchResponse(message));
      },
      closed: (error) => {
        if (error === undefined) {
          events.emit("end");
        } else {
          events.emit("error", error);
        }
      },
    });
    return Object.assign(events, {
      write: (request: IWatchRequest) => {
        stream.write(encodeWatch(request));
      },
      cancel: () => {
        stream.cancel();
      },
    });
  }

  range(request: IRangeRequest, timeoutMs: number): Promise<IRangeResponse> {
    return this.#call(timeoutMs, ({ kv }, options) => kv.range(request, options));
  }

  async put(request: IPutRequest, timeoutMs: number): Promise<void> {
    await this.#call(timeoutMs, ({ kv }, options) => kv.put(request, options));
  }

  async grantLease(ttlSeconds: number, timeoutMs: number): Promise<{ id: string; ttlSeconds: number }> {
    const { ID, TTL } = await this.#call(timeoutMs, ({ leaseClient }, options) =>
      leaseClient.leaseGrant({ TTL: ttlSeconds }, options),
    );
    return { id: ID, ttlSeconds: Number(TTL) };
  }

  keepLeaseAlive(id: string, timeoutMs: number): Promise<number> {
    return this.#call(timeoutMs, async ({ leaseClient }, options) => {
      const stream = await leaseClient.leaseKeepAlive(options);
      try {
        return await new Promise<number>((resolve, reject) => {
          stream.on("data", ({ TTL }) => {
            resolve(Number(TTL));
          });
          stream.on("error", reject);
          stream.on("end", () => {
            reject(new Error("etcd ended the keep-alive stream"));
          });
          stream.write({ ID: id });
        });
      } finally {
        stream.cancel();
      }
    });
  }

  async revokeLease(id: string, timeoutMs: number): Promise<void> {
    await this.#call(timeoutMs, ({ leaseClient }, options) => leaseClient.leaseRevoke({ ID: id }, options));
  }

  close(): void {
    this.#txns.close();
    this.#watches.close();
    for (const member of this.#members) {
      member.close();
    }
  }

  async #call<Answer>(
    timeoutMs: number,
    make: (member: Etcd3, options: CallOptions) => Promise<Answer>,
  ): Promise<Answer> {
    const index = this.#member;
    const member = this.#members[index];
    if (member === undefined) {
      throw new Error("an etcd client needs at least one member");
    }
    try {
      return await make(member, { deadline: Date.now() + timeoutMs });
    } catch (error) {
      if (this.#member === index) {
        this.#member = (index + 1) % this.#members.length;
      }
      throw error;
    }
  }
}
