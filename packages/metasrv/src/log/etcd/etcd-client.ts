import {
  Etcd3,
  type IOptions,
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

/** etcd3's client, beside which the two calls that carry the load have connections of their own. */
export class EtcdClient extends Etcd3 {
  readonly #txns: GrpcConnection;
  readonly #watches: GrpcConnection;

  constructor(options: IOptions & { readonly hosts: string[] }, clock: Clock) {
    super(options);
    this.#txns = new GrpcConnection(options.hosts, clock);
    this.#watches = new GrpcConnection(options.hosts, clock);
  }

  /**
   * Runs a transaction.
   *
   * @param timeoutMs - in milliseconds
   */
  async txn(request: ITxnRequest, timeoutMs: number): Promise<ITxnResponse> {
    return decodeTxnResponse(await this.#txns.unary("/etcdserverpb.KV/Txn", encodeTxn(request), timeoutMs));
  }

  /** Opens a stream on which watches can be made. */
  watchStream(): Promise<WatchStream> {
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
    return Promise.resolve(
      Object.assign(events, {
        write: (request: IWatchRequest) => {
          stream.write(encodeWatch(request));
        },
        cancel: () => {
          stream.cancel();
        },
      }),
    );
  }

  override close(): void {
    this.#txns.close();
    this.#watches.close();
    super.close();
  }
}
