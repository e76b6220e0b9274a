import { type Client, createClient } from "@connectrpc/connect";
import { AdminService, ClusterService, InspectService, type LockRequest, LockService } from "@metasrv/proto/metasrv/v1";
import type { Clock } from "@metasrv/wire";
import { type Cancellation, settledOrCancelled } from "./cancellation.js";
import type { EndpointConnection } from "./connection.js";
import { type LockOutcome, readOutcome } from "./grant.js";
import { type CallSetup, EndpointFailure, type Inspecting, type Inspections } from "./lock-channel.js";
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
  readonly #connection: EndpointConnection;
  readonly #clock: Clock;
  readonly #locks: Client<typeof LockService>;
  readonly #cluster: Client<typeof ClusterService>;
  readonly #inspections: Inspections;

  constructor(endpoint: string, connection: EndpointConnection, clock: Clock) {
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
    this.#connection.hold();
    try {
      for (let askedAgain = false; ;) {
        let heard = false;
        try {
          for await (const message of open(this.#inspections, await this.#setup(scope))) {
            heard = true;
            yield message;
          }
          break;
        } catch (error) {
          scope.throwIfCancelled();
          if (heard || !this.#mayRepeat(error, askedAgain)) {
            throw this.#endOfStream(error, heard);
          }
          askedAgain ||= this.#connection.mayAskAgain(error);
        }
      }
    } finally {
      this.#connection.release();
    }
    throw new EndpointFailure(this.endpoint, "the server ended the stream", true);
  }

  async members(scope: Cancellation): Promise<readonly Member[]> {
    const { message } = await this.#ask((options) => this.#cluster.listMembers({}, options), scope);
    return message.members.map(readMember);
  }

  async watchMembers(
    scope: Cancellation,
    onMembers: (members: readonly Member[]) => void,
    askedAgain = false,
  ): Promise<never> {
    let heard = false;
    try {
      for await (const { members } of this.#cluster.watchMembers({}, await this.#setup(scope))) {
        heard = true;
        if (!scope.cancelled) {
          onMembers(members.map(readMember));
        }
      }
    } catch (error) {
      scope.throwIfCancelled();
      if (!heard && this.#mayRepeat(error, askedAgain)) {
        return await this.watchMembers(scope, onMembers, askedAgain || this.#connection.mayAskAgain(error));
      }
      throw this.#endOfStream(error, heard);
    }
    scope.throwIfCancelled();
    throw new EndpointFailure(this.endpoint, "the server ended the watch", true);
  }

  async #ask<T>(rpc: (options: CallSetup) => Promise<T>, scope: Cancellation, askedAgain = false): Promise<Answer<T>> {
    let sent = false;
    this.#connection.hold();
    try {
      const setup = await this.#setup(scope);
      // The clock starts only now, so that the time to connect does not shorten the validity of the grant.
      const sentAtMs = this.#clock.now();
      sent = true;
      return { message: await rpc(setup), sentAtMs };
    } catch (error) {
      scope.throwIfCancelled();
      if (this.#mayRepeat(error, askedAgain)) {
        return await this.#ask(rpc, scope, askedAgain || this.#connection.mayAskAgain(error));
      }
      throw translateError(error, { endpoint: this.endpoint, sent });
    } finally {
      this.#connection.release();
    }
  }

  /** Makes sure of a connection, and of what the call goes out with. */
  async #setup(scope: Cancellation): Promise<CallSetup> {
    const headers = await settledOrCancelled(this.#connection.headers(), scope);
    await this.#connection.ready(scope);
    return { signal: scope.signal, headers };
  }

  /** Whether the server has done nothing of a call that failed, and the same call may succeed there at once. */
  #mayRepeat(error: unknown, askedAgain: boolean): boolean {
    return this.#connection.foundHttp1(error) || (!askedAgain && this.#connection.mayAskAgain(error));
  }

  /** @param heard - whether something came on the stream: if its token is refused after that, another stream has another */
  #endOfStream(error: unknown, heard: boolean): Error {
    return heard && this.#connection.mayAskAgain(error)
      ? new EndpointFailure(this.endpoint, "the token is not accepted any more", true, { cause: error })
      : translateError(error, { endpoint: this.endpoint, sent: true });
  }
}
