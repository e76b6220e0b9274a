import { Etcd3, EtcdLeaseInvalidError, type IKeyValue, type IOptions, type IResponseHeader } from "etcd3";
import type { EtcdClient, EtcdHeader, EtcdKeyValue, EtcdPage, EtcdRange } from "./etcd-client.js";
import { grpcCode, grpcError } from "./grpc-connection.js";

type Policy = NonNullable<NonNullable<IOptions["faultHandling"]>["global"]>;

const neverAborted = new AbortController().signal;
const neverTold = () => ({ dispose: () => undefined });

/** Each call once: what to try again, where and when is decided by whoever makes it. */
const once: Omit<Policy, "_altReturn"> = {
  onSuccess: neverTold,
  onFailure: neverTold,
  execute: async (call) => await call({ signal: neverAborted }),
};

const grpcOptions = {
  "grpc.max_receive_message_length": -1,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
  // etcd refuses pings more frequent than every 5 s.
  "grpc.keepalive_time_ms": 6_000,
  "grpc.keepalive_timeout_ms": 3_000,
  "grpc.use_local_subchannel_pool": 1,
};

interface CallOptions {
  readonly deadline: number;
}

/** The calls that are made now and then, through etcd3. Each goes to one member, and after a failure to the next. */
export class EtcdMembers implements Omit<EtcdClient, "txn" | "watch"> {
  /** One client for each member: of several, etcd3 takes one by chance for each call, be it silent or not. */
  readonly #members: readonly Etcd3[];
  /** Index of the member of which calls are made. */
  #member: number;
  #closed = false;

  /** @param hosts - each as host:port, or with http:// or https:// before it */
  constructor(hosts: readonly string[]) {
    // Cockatiel, which has the type, says that the property left out does not exist.
    const policy = once as Policy;
    this.#members = hosts.map(
      (host) => new Etcd3({ hosts: host, faultHandling: { host: () => policy, global: policy }, grpcOptions }),
    );
    this.#member = Math.floor(Math.random() * hosts.length);
  }

  /** See `EtcdClient.range`. */
  async range(range: EtcdRange & { readonly revision?: bigint }, timeoutMs: number): Promise<EtcdPage> {
    const { key, end, keysOnly, limit, revision } = range;
    const request = {
      key,
      ...(end === undefined ? {} : { range_end: end }),
      ...(keysOnly === undefined ? {} : { keys_only: keysOnly }),
      ...(limit === undefined ? {} : { limit }),
      ...(revision === undefined ? {} : { revision: String(revision) }),
    };
    const { header, kvs, more } = await this.#call(timeoutMs, ({ kv }, options) => kv.range(request, options));
    return { header: headerOf(header), kvs: kvs.map(keyValueOf), more };
  }

  /** See `EtcdClient.put`. */
  async put(
    { key, value, lease }: { readonly key: Buffer; readonly value: Buffer; readonly lease: bigint },
    timeoutMs: number,
  ): Promise<EtcdHeader> {
    const request = { key, value, lease: String(lease) };
    const { header } = await this.#call(timeoutMs, ({ kv }, options) => kv.put(request, options));
    return headerOf(header);
  }

  /** See `EtcdClient.grantLease`. */
  async grantLease(ttlSeconds: number, timeoutMs: number): Promise<{ lease: bigint; ttlSeconds: number }> {
    const { ID, TTL } = await this.#call(timeoutMs, ({ leaseClient }, options) =>
      leaseClient.leaseGrant({ TTL: ttlSeconds }, options),
    );
    return { lease: BigInt(ID), ttlSeconds: Number(TTL) };
  }

  /** See `EtcdClient.keepLeaseAlive`. */
  keepLeaseAlive(lease: bigint, timeoutMs: number): Promise<number> {
    return this.#call(timeoutMs, async ({ leaseClient }, options) => {
      const stream = await leaseClient.leaseKeepAlive(options);
      try {
        return await new Promise<number>((resolve, reject) => {
          stream.on("data", ({ TTL }) => {
            resolve(Number(TTL));
          });
          stream.on("error", reject);
          stream.on("end", () => {
            reject(grpcError({ code: grpcCode.unavailable, message: "etcd ended the keep-alive stream" }));
          });
          stream.write({ ID: String(lease) });
        });
      } finally {
        // etcd3 takes the error of a stream that could still be written for a failure, and drops the connection.
        stream.end();
        stream.cancel();
      }
    });
  }

  /** See `EtcdClient.revokeLease`. */
  async revokeLease(lease: bigint, timeoutMs: number): Promise<void> {
    await this.#call(timeoutMs, ({ leaseClient }, options) => leaseClient.leaseRevoke({ ID: String(lease) }, options));
  }

  /** See `EtcdClient.databaseBytes`. */
  async databaseBytes(timeoutMs: number): Promise<number> {
    const { dbSize } = await this.#call(timeoutMs, ({ maintenance }, options) => maintenance.status(options));
    return Number(dbSize);
  }

  /** See `EtcdClient.close`. */
  close(): void {
    this.#closed = true;
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
    if (this.#closed) {
      throw grpcError({ code: grpcCode.unavailable, message: "the connection was closed" });
    }
    try {
      return await make(member, { deadline: Date.now() + timeoutMs });
    } catch (error) {
      if (this.#member === index) {
        this.#member = (index + 1) % this.#members.length;
      }
      // The one error of these calls into whose text etcd3 writes its own.
      throw error instanceof EtcdLeaseInvalidError
        ? grpcError({ code: grpcCode.notFound, message: "etcdserver: requested lease not found" })
        : error;
    }
  }
}

function headerOf({ cluster_id: clusterId, revision }: IResponseHeader): EtcdHeader {
  return { clusterId: BigInt(clusterId), revision: BigInt(revision) };
}

function keyValueOf(kv: IKeyValue): EtcdKeyValue {
  return {
    key: kv.key,
    value: kv.value,
    createRevision: BigInt(kv.create_revision),
    modRevision: BigInt(kv.mod_revision),
    lease: BigInt(kv.lease),
  };
}
