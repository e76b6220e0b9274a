import type { Clock } from "@metasrv/wire";
import { Authenticator } from "./authenticator.js";
import type { EtcdAccess } from "./etcd-access.js";
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
import {
  decodeDatabaseBytes,
  decodeHeader,
  decodeLease,
  decodeToken,
  encodeAuthenticate,
  encodeLease,
  encodeLeaseGrant,
  encodePut,
} from "./etcd-rare-wire.js";
import { EtcdRefusal, explained, isStaleToken } from "./etcd-refusal.js";
import {
  decodePage,
  decodeTxnAnswer,
  decodeWatchResponse,
  encodeRange,
  encodeTxn,
  encodeWatchCreate,
  encodeWatchProgress,
} from "./etcd-wire.js";
import { grpcCode, GrpcConnection, grpcError, type GrpcStream } from "./grpc-connection.js";
import { readTls } from "./tls-files.js";

/** What a client works with. */
export interface EtcdClientOptions {
  /** The members, each as host:port, or with http:// or https:// before it. */
  readonly hosts: readonly string[];
  readonly access?: EtcdAccess | undefined;
  readonly clock: Clock;
  /** Told of each refusal that the log cannot do without. */
  readonly refused?: (refusal: EtcdRefusal) => void;
}

/** A client of the etcd members; nothing is connected, and no file read, before the first call. */
export function createEtcdClient(options: EtcdClientOptions): EtcdClient {
  return new ConnectedEtcdClient(options);
}

interface CallOptions {
  /** Told of a refusal. */
  readonly refused?: (refusal: EtcdRefusal) => void;
  /** Whether the call needs a token; without one, it is made at once, and with one only when etcd asks for it. */
  readonly awaitsToken?: boolean;
}

/** As many as the log writes at once. */
const txnsAtOnce = 4;

/** How long etcd may take to give a token, in milliseconds: it makes each check of a password slow. */
const authenticateMs = 3_000;

class ConnectedEtcdClient implements EtcdClient {
  readonly #access: EtcdAccess;
  readonly #clock: Clock;
  readonly #refused: (refusal: EtcdRefusal) => void;
  /** Each has a connection of its own, which fails over on its own: a call that runs out of time ends those beside it. */
  readonly #txns: GrpcConnection;
  readonly #watches: GrpcConnection;
  readonly #leases: GrpcConnection;
  readonly #reads: GrpcConnection;
  readonly #tokens: GrpcConnection;
  /** Absent when etcd need not know who this is, or sees it from a certificate. */
  readonly #authenticator: Authenticator | undefined;

  constructor({ hosts, access = {}, clock, refused = () => undefined }: EtcdClientOptions) {
    this.#access = access;
    this.#clock = clock;
    this.#refused = refused;
    const { tls: files, username, passwordFile } = access;
    const tls = files && (() => readTls(files));
    this.#txns = new GrpcConnection({ hosts, clock, tls, sessions: txnsAtOnce });
    this.#watches = new GrpcConnection({ hosts, clock, tls });
    this.#leases = new GrpcConnection({ hosts, clock, tls });
    this.#reads = new GrpcConnection({ hosts, clock, tls });
    this.#tokens = new GrpcConnection({ hosts, clock, tls });
    if (username !== undefined && passwordFile !== undefined) {
      this.#authenticator = new Authenticator({
        passwordFile,
        clock,
        ask: (password) => this.#askForToken(username, password),
      });
    }
  }

  async txn(txn: EtcdTxn, timeoutMs: number): Promise<EtcdTxnAnswer> {
    return read(decodeTxnAnswer, await this.#call(this.#txns, "/etcdserverpb.KV/Txn", encodeTxn(txn), timeoutMs));
  }

  watch(range: EtcdWatchRange, listener: EtcdWatchListener): EtcdWatch {
    const authenticator = this.#authenticator;
    if (authenticator === undefined || authenticator.token !== undefined) {
      return this.#watch(range, listener, authenticator?.token);
    }
    let watch: EtcdWatch | undefined;
    let isOver = false;
    const end = (error: Error | undefined) => {
      if (!isOver) {
        isOver = true;
        listener.closed(error);
      }
    };
    authenticator
      .authenticate()
      .then((token) => {
        watch = isOver ? undefined : this.#watch(range, { ...listener, closed: end }, token);
      })
      .catch((error: unknown) => {
        end(this.#explained(error));
      });
    return {
      progress: () => {
        watch?.progress();
      },
      cancel: () => {
        if (watch === undefined) {
          queueMicrotask(() => {
            end(undefined);
          });
        } else {
          watch.cancel();
        }
      },
    };
  }

  async range(range: EtcdRange & { readonly revision?: bigint }, timeoutMs: number): Promise<EtcdPage> {
    return read(decodePage, await this.#call(this.#reads, "/etcdserverpb.KV/Range", encodeRange(range), timeoutMs));
  }

  async put(
    request: { readonly key: Buffer; readonly value: Buffer; readonly lease: bigint },
    timeoutMs: number,
  ): Promise<EtcdHeader> {
    return read(decodeHeader, await this.#call(this.#leases, "/etcdserverpb.KV/Put", encodePut(request), timeoutMs));
  }

  async grantLease(
    ttlSeconds: number,
    timeoutMs: number,
  ): Promise<{ readonly lease: bigint; readonly ttlSeconds: number }> {
    const request = encodeLeaseGrant(ttlSeconds);
    return read(decodeLease, await this.#call(this.#leases, "/etcdserverpb.Lease/LeaseGrant", request, timeoutMs));
  }

  async keepLeaseAlive(lease: bigint, timeoutMs: number): Promise<number> {
    const request = encodeLease(lease);
    const path = "/etcdserverpb.Lease/LeaseKeepAlive";
    // A stream of one message each way is a call like others. etcd takes it from anybody, and a busy one is slow to give tokens.
    const answer = await this.#call(this.#leases, path, request, timeoutMs, { awaitsToken: false });
    return read(decodeLease, answer).ttlSeconds;
  }

  async revokeLease(lease: bigint, timeoutMs: number): Promise<void> {
    await this.#call(this.#leases, "/etcdserverpb.Lease/LeaseRevoke", encodeLease(lease), timeoutMs);
  }

  async databaseBytes(timeoutMs: number): Promise<number> {
    const empty = Buffer.alloc(0);
    const path = "/etcdserverpb.Maintenance/Status";
    return read(
      decodeDatabaseBytes,
      await this.#call(this.#reads, path, empty, timeoutMs, { refused: () => undefined }),
    );
  }

  close(): void {
    this.#txns.close();
    this.#watches.close();
    this.#leases.close();
    this.#reads.close();
    this.#tokens.close();
  }

  /**
   * Makes a call, and once more with another token when etcd does not take the one there is: it did nothing then. To get a
   * token may take as long again as the call itself.
   */
  async #call(
    connection: GrpcConnection,
    path: string,
    message: Buffer,
    timeoutMs: number,
    { refused = this.#refused, awaitsToken = true }: CallOptions = {},
  ): Promise<Buffer> {
    const authenticator = this.#authenticator;
    try {
      if (authenticator === undefined) {
        return await connection.unary(path, message, timeoutMs);
      }
      const token = authenticator.token ?? (awaitsToken ? await this.#tokenWithin(timeoutMs, authenticator) : "");
      try {
        return await connection.unary(path, message, timeoutMs, given(token));
      } catch (error) {
        if (!(error instanceof Error && isStaleToken(error))) {
          throw error;
        }
        authenticator.drop(token);
        const next = await this.#tokenWithin(timeoutMs, authenticator);
        return await connection.unary(path, message, timeoutMs, given(next));
      }
    } catch (error) {
      throw this.#explained(error, refused);
    }
  }

  #watch(range: EtcdWatchRange, listener: EtcdWatchListener, token: string | undefined): EtcdWatch {
    let canceled = false;
    let unread: Error | undefined;
    const cancel = () => {
      canceled = true;
      stream.cancel();
    };
    const told = {
      message: (message: Buffer) => {
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
        if (response.canceled && response.compactRevision === 0n) {
          this.#watchRefused(response.cancelReason, token);
        }
        listener.response(response);
      },
      closed: (error: Error | undefined) => {
        if (error !== undefined) {
          this.#watchRefused(error.message, token);
        }
        listener.closed(unread ?? (error && this.#explained(error)));
      },
    };
    const stream: GrpcStream = this.#watches.stream("/etcdserverpb.Watch/Watch", told, given(token));
    stream.write(encodeWatchCreate(range));
    return {
      progress: () => {
        stream.write(encodeWatchProgress());
      },
      cancel,
    };
  }

  /** etcd has ended a watch. */
  #watchRefused(reason: string, token: string | undefined): void {
    const error = new Error(reason);
    if (token === undefined || !isStaleToken(error)) {
      this.#explained(error);
    } else {
      this.#authenticator?.drop(token);
    }
  }

  #tokenWithin(timeoutMs: number, authenticator: Authenticator): Promise<string> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(timeoutMs, () => {
        reject(grpcError({ code: grpcCode.deadlineExceeded, message: "no token in time" }));
      });
      void authenticator
        .authenticate()
        .then(resolve, reject)
        .finally(() => {
          timer.cancel();
        });
    });
  }

  /** @returns an empty text when etcd has no users, and so asks nobody for a token */
  async #askForToken(username: string, password: string): Promise<string> {
    const request = encodeAuthenticate(username, password);
    try {
      return read(decodeToken, await this.#tokens.unary("/etcdserverpb.Auth/Authenticate", request, authenticateMs));
    } catch (error) {
      if (error instanceof Error && error.message.includes("authentication is not enabled")) {
        return "";
      }
      throw error instanceof Error ? explained(error, this.#access) : error;
    }
  }

  #explained(thrown: unknown, refused = this.#refused): Error {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    const why = error instanceof EtcdRefusal ? error : explained(error, this.#access);
    if (why instanceof EtcdRefusal) {
      refused(why);
    }
    return why;
  }
}

/** The token as it is sent: none while etcd knows no users. */
function given(token: string | undefined): string | undefined {
  return token === "" ? undefined : token;
}

function read<T>(decode: (message: Uint8Array) => T, message: Buffer): T {
  try {
    return decode(message);
  } catch (error) {
    throw unreadable(error);
  }
}

function unreadable(error: unknown): Error {
  const why = error instanceof Error ? error.message : String(error);
  return grpcError({ code: grpcCode.internal, message: `what etcd sent cannot be read: ${why}` });
}
