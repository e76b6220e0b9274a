import { type Client, createClient } from "@connectrpc/connect";
import { AdminService, ClusterService, InspectService, type LockRequest, LockService } from "@metasrv/proto/metasrv/v1";
import type { Clock } from "@metasrv/wire";
import type { Cancellation } from "./cancellation.js";
import type { Connection } from "./connection.js";
import { type Holding, type LockOutcome, readOutcome, type Renewed } from "./grant.js";
import { EndpointFailure, type Inspecting, type Inspections, type LockChannel } from "./lock-channel.js";
import { type Member, readMember } from "./member.js";
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
  readonly #locks: Client<typeof LockService>;
  readonly #cluster: Client<typeof ClusterService>;
  readonly #inspections: Inspections;

  constructor(endpoint: string, connection: Connection, clock: Clock) {
    this.endpoint = endpoint;
    this.#connection = connection;
    this.#clock = clock;
    this.#locks = createClient(LockService, connection.transport);
    this.#cluster = createClient(ClusterService, connection.transport);
    this.#inspections = {
      ...createClient(InspectService, connection.transport),
      ...createClient(AdminService, connection.transport),
    };
  }

  async lock(request: LockRequest, scope: Cancellation): Promise<LockOutcome> {
    const { message, sentAtMs } = await this.#ask((options) => this.#locks.lock(request, options), scope);
    return readOutcome(message, sentAtMs);
  }

  async unlock({ key }: Holding, scope: Cancellation): Promise<void> {
    await this.#ask((options) => this.#locks.unlock({ key }, options), scope);
  }

  async renew({ key, renewedMode: mode, value }: Holding, ttlMs: number, scope: Cancellation): Promise<Renewed> {
    const request = { key, ttlMs: BigInt(ttlMs), mode, ...(value !== undefined && { value }) };
    const { message, sentAtMs } = await this.#ask((options) => this.#locks.renew(request, options), scope);
    return { ttlMs: Number(message.ttlMs), sentAtMs };
  }

  async inspect<T>(ask: Inspecting<Promise<T>>, scope: Cancellation): Promise<T> {
    const { message } = await this.#ask((options) => ask(this.#inspections, options), scope);
    return message;
  }

  async *follow<T>(open: Inspecting<AsyncIterable<T>>, scope: Cancellation): AsyncGenerator<T, void, undefined> {
    this.#connection.hold();
    try {
      await this.#connection.ready(scope);
      yield* open(this.#inspections, { signal: scope.signal });
    } catch (error) {
      scope.throwIfCancelled();
      throw translateError(error, { endpoint: this.endpoint, sent: true });
    } finally {
      this.#connection.release();
    }
    throw new EndpointFailure(this.endpoint, "the server ended the stream", true);
  }

  async members(scope: Cancellation): Promise<readonly Member[]> {
    const { message } = await this.#ask((options) => this.#cluster.listMembers({}, options), scope);
    return message.members.map(readMember);
  }

  async watchMembers(scope: Cancellation, onMembers: (members: readonly Member[]) => void): Promise<never> {
    try {
      await this.#connection.ready(scope);
      for await (const { members } of this.#cluster.watchMembers({}, { signal: scope.signal })) {
        if (!scope.cancelled) {
          onMembers(members.map(readMember));
        }
      }
    } catch (error) {
      scope.throwIfCancelled();
      throw translateError(error, { endpoint: this.endpoint, sent: true });
    }
    scope.throwIfCancelled();
    throw new EndpointFailure(this.endpoint, "the server ended the watch", true);
  }

  /** Calls do not share anything that would have to be left: each ends by itself. */
  leave(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#connection.end();
    return Promise.resolve();
  }

  async #ask<T>(
    rpc: (options: { readonly signal: AbortSignal }) => Promise<T>,
    scope: Cancellation,
  ): Promise<Answer<T>> {
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
