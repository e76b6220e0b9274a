import type { Clock } from "@metasrv/wire";
import type {
  EtcdClient,
  EtcdHeader,
  EtcdPage,
  EtcdRange,
  EtcdTxn,
  EtcdTxnAnswer,
  EtcdWatch,
  EtcdWatchListener,
  EtcdWatchRange,
} from "./etcd-client.js";
import { EtcdMembers } from "./etcd-members.js";
import {
  decodeTxnAnswer,
  decodeWatchResponse,
  encodeTxn,
  encodeWatchCreate,
  encodeWatchProgress,
} from "./etcd-wire.js";
import { grpcCode, GrpcConnection, grpcError } from "./grpc-connection.js";

/**
 * A client of the etcd members; nothing is connected before the first call.
 *
 * @param hosts - each as host:port, or with http:// or https:// before it
 */
export function createEtcdClient(hosts: readonly string[], clock: Clock): EtcdClient {
  return new ConnectedEtcdClient(hosts, clock);
}

class ConnectedEtcdClient implements EtcdClient {
  /** The two calls that carry the load have connections of their own, and fail over on their own. */
  readonly #txns: GrpcConnection;
  readonly #watches: GrpcConnection;
  readonly #members: EtcdMembers;

  constructor(hosts: readonly string[], clock: Clock) {
    this.#txns = new GrpcConnection(hosts, clock);
    this.#watches = new GrpcConnection(hosts, clock);
    this.#members = new EtcdMembers(hosts);
  }

  async txn(txn: EtcdTxn, timeoutMs: number): Promise<EtcdTxnAnswer> {
    const answer = await this.#txns.unary("/etcdserverpb.KV/Txn", encodeTxn(txn), timeoutMs);
    try {
      return decodeTxnAnswer(answer);
    } catch (error) {
      throw unreadable(error);
    }
  }

  watch(range: EtcdWatchRange, listener: EtcdWatchListener): EtcdWatch {
    let canceled = false;
    let unread: Error | undefined;
    const cancel = () => {
      canceled = true;
      stream.cancel();
    };
    const stream = this.#watches.stream("/etcdserverpb.Watch/Watch", {
      message: (message) => {
        if (canceled) {
          return;
        }
        let response;
        try {
          response = decodeWatchResponse(message);
        } catch (error) {
          // What it said is lost, so the watch is too; thrown from here, the error would end the process.
          unread = unreadable(error);
          cancel();
          return;
        }
        listener.response(response);
      },
      closed: (error) => {
        listener.closed(unread ?? error);
      },
    });
    stream.write(encodeWatchCreate(range));
    return {
      progress: () => {
        stream.write(encodeWatchProgress());
      },
      cancel,
    };
  }

  range(range: EtcdRange & { readonly revision?: bigint }, timeoutMs: number): Promise<EtcdPage> {
    return this.#members.range(range, timeoutMs);
  }

  put(
    request: { readonly key: Buffer; readonly value: Buffer; readonly lease: bigint },
    timeoutMs: number,
  ): Promise<EtcdHeader> {
    return this.#members.put(request, timeoutMs);
  }

  grantLease(ttlSeconds: number, timeoutMs: number): Promise<{ readonly lease: bigint; readonly ttlSeconds: number }> {
    return this.#members.grantLease(ttlSeconds, timeoutMs);
  }

  keepLeaseAlive(lease: bigint, timeoutMs: number): Promise<number> {
    return this.#members.keepLeaseAlive(lease, timeoutMs);
  }

  revokeLease(lease: bigint, timeoutMs: number): Promise<void> {
    return this.#members.revokeLease(lease, timeoutMs);
  }

  databaseBytes(timeoutMs: number): Promise<number> {
    return this.#members.databaseBytes(timeoutMs);
  }

  close(): void {
    this.#txns.close();
    this.#watches.close();
    this.#members.close();
  }
}

function unreadable(error: unknown): Error {
  const why = error instanceof Error ? error.message : String(error);
  return grpcError({ code: grpcCode.internal, message: `what etcd sent cannot be read: ${why}` });
}
