import { type CallOptions, type Client, createClient } from "@connectrpc/connect";
import { type LockRequest, LockService } from "@metasrv/proto/metasrv/v1";
import type { Clock } from "@metasrv/wire";
import type { Cancellation } from "./cancellation.js";
import { ClusterCalls } from "./cluster-calls.js";
import type { Connection } from "./connection.js";
import { type Holding, type LockOutcome, readOutcome, type Renewed } from "./grant.js";
import type { LockChannel } from "./lock-channel.js";
import type { GetLock, ListLocks, LockInfo, LockPage } from "./lock-info.js";
import type { Member } from "./member.js";
import { translateError } from "./translate-error.js";

interface Answer<T> {
  readonly message: T;
  /** When the request left, on the client's clock; the server cannot have received it earlier. */
  readonly sentAtMs: number;
}

/** A channel that makes one RPC of each request. It tells no news of locks. */
export class UnaryChannel implements LockChannel {
  readonly endpoint: string;
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #service: Client<typeof LockService>;
  readonly #cluster: ClusterCalls;

  constructor(endpoint: string, connection: Connection, clock: Clock) {
    this.endpoint = endpoint;
    this.#connection = connection;
    this.#clock = clock;
    this.#service = createClient(LockService, connection.transport);
    this.#cluster = new ClusterCalls(endpoint, connection);
  }

  async lock(request: LockRequest, scope: Cancellation): Promise<LockOutcome> {
    const { message, sentAtMs } = await this.#ask((options) => this.#service.lock(request, options), scope);
    return readOutcome(message, sentAtMs);
  }

  async unlock({ key }: Holding, scope: Cancellation): Promise<void> {
    await this.#ask((options) => this.#service.unlock({ key }, options), scope);
  }

  async renew({ key, renewedMode: mode }: Holding, ttlMs: number, scope: Cancellation): Promise<Renewed> {
    const request = { key, ttlMs: BigInt(ttlMs), mode };
    const { message, sentAtMs } = await this.#ask((options) => this.#service.renew(request, options), scope);
    return { ttlMs: Number(message.ttlMs), sentAtMs };
  }

  getLock(request: GetLock, scope: Cancellation): Promise<LockInfo> {
    return this.#cluster.getLock(request, scope);
  }

  listLocks(request: ListLocks, scope: Cancellation): Promise<LockPage> {
    return this.#cluster.listLocks(request, scope);
  }

  members(scope: Cancellation): Promise<readonly Member[]> {
    return this.#cluster.members(scope);
  }

  watchMembers(scope: Cancellation, onMembers: (members: readonly Member[]) => void): Promise<never> {
    return this.#cluster.watch(scope, onMembers);
  }

  /** Calls do not share anything that would have to be left: each ends by itself. */
  leave(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#connection.end();
    return Promise.resolve();
  }

  async #ask<T>(rpc: (options: CallOptions) => Promise<T>, scope: Cancellation): Promise<Answer<T>> {
    let sent = false;
    this.#connection.hold();
    try {
      await this.#connection.ready(scope);
      // The clock starts only now, so that the time to connect does not shorten the validity of the grant.
      const sentAtMs = this.#clock.now();
      sent = true;
      return { message: await rpc({ signal: scope.signal }), sentAtMs };
    } catch (error) {
      scope.throwIfCancelled();
      throw translateError(error, { endpoint: this.endpoint, sent });
    } finally {
      this.#connection.release();
    }
  }
}
