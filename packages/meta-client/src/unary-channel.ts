import { type Client, createClient } from "@connectrpc/connect";
import { AdminService, ClusterService, InspectService, type LockRequest, LockService } from "@metasrv/proto/metasrv/v1";
import type { Clock } from "@metasrv/wire";
import type { Cancellation } from "./cancellation.js";
import type { Connection } from "./connection.js";
import { type LockOutcome, readOutcome } from "./grant.js";
import { EndpointFailure, type Inspecting, type Inspections } from "./lock-channel.js";
import { type Member, readMember } from "./member.js";
import { translateError } from "./translate-error.js";

interface Answer<T> {
  readonly message: T;
  /** When the request left, on the client's clock; the server cannot have received it earlier. */
  readonly sentAtMs: number;
}

/**
 * The calls that need no session: what is only read, and requests that are too long for one.
 */
export class UnaryChannel {
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

  /** Asks for a lock in a call of its own. If a server refuses it as too long, it refuses nothing else with it. */
  async lockAlone(request: LockRequest, scope: Cancellation): Promise<LockOutcome> {
    const { message, sentAtMs } = await this.#ask((options) => this.#locks.lock(request, options), scope);
    return readOutcome(message, sentAtMs);
  }

  async inspect<T>(ask: Inspecting<Promise<T>>, scope: Cancellation): Promise<T> {
    const { message } = await this.#ask((options) => ask(this.#inspections, options), scope);
    return message;
  }

  async *follow<T>(open: Inspecting<AsyncIterable<T>>, scope: Cancellation): AsyncGenerator<T, void, undefined> {
    let again = false;
    this.#connection.hold();
    try {
      await this.#connection.ready(scope);
      yield* open(this.#inspections, { signal: scope.signal });
    } catch (error) {
      scope.throwIfCancelled();
      if (!this.#connection.foundHttp1(error)) {
        throw translateError(error, { endpoint: this.endpoint, sent: true });
      }
      again = true;
    } finally {
      this.#connection.release();
    }
    if (!again) {
      throw new EndpointFailure(this.endpoint, "the server ended the stream", true);
    }
    yield* this.follow(open, scope);
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
      if (this.#connection.foundHttp1(error)) {
        return await this.watchMembers(scope, onMembers);
      }
      throw translateError(error, { endpoint: this.endpoint, sent: true });
    }
    scope.throwIfCancelled();
    throw new EndpointFailure(this.endpoint, "the server ended the watch", true);
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
      if (this.#connection.foundHttp1(error)) {
        return await this.#ask(rpc, scope);
      }
      throw translateError(error, { endpoint: this.endpoint, sent });
    } finally {
      this.#connection.release();
    }
  }
}
