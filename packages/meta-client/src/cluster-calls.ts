import { type Client, createClient } from "@connectrpc/connect";
import { ClusterService, InspectService } from "@metasrv/proto/metasrv/v1";
import type { Cancellation } from "./cancellation.js";
import type { Connection } from "./connection.js";
import { EndpointFailure } from "./lock-channel.js";
import { type GetLock, type ListLocks, type LockInfo, type LockPage, readLock, readPage } from "./lock-info.js";
import { type Member, readMember } from "./member.js";
import { translateError } from "./translate-error.js";

/** Asks one endpoint which servers and which locks there are. */
export class ClusterCalls {
  readonly #endpoint: string;
  readonly #connection: Connection;
  readonly #service: Client<typeof ClusterService>;
  readonly #inspect: Client<typeof InspectService>;

  constructor(endpoint: string, connection: Connection) {
    this.#endpoint = endpoint;
    this.#connection = connection;
    this.#service = createClient(ClusterService, connection.transport);
    this.#inspect = createClient(InspectService, connection.transport);
  }

  /** As `LockChannel.members`. */
  members(scope: Cancellation): Promise<readonly Member[]> {
    return this.#held(scope, async () => {
      const { members } = await this.#service.listMembers({}, { signal: scope.signal });
      return members.map(readMember);
    });
  }

  /** As `LockChannel.getLock`. */
  getLock(request: GetLock, scope: Cancellation): Promise<LockInfo> {
    return this.#held(scope, async () => readLock(await this.#inspect.getLock(request, { signal: scope.signal })));
  }

  /** As `LockChannel.listLocks`. */
  listLocks(request: ListLocks, scope: Cancellation): Promise<LockPage> {
    return this.#held(scope, async () => readPage(await this.#inspect.listLocks(request, { signal: scope.signal })));
  }

  /** As `LockChannel.watchMembers`. */
  async watch(scope: Cancellation, onMembers: (members: readonly Member[]) => void): Promise<never> {
    return this.#translated(scope, async () => {
      for await (const { members } of this.#service.watchMembers({}, { signal: scope.signal })) {
        if (!scope.cancelled) {
          onMembers(members.map(readMember));
        }
      }
      throw new EndpointFailure(this.#endpoint, "the server ended the watch", true);
    });
  }

  /** Keeps the process alive during a call. */
  async #held<T>(scope: Cancellation, call: () => Promise<T>): Promise<T> {
    this.#connection.hold();
    try {
      return await this.#translated(scope, call);
    } finally {
      this.#connection.release();
    }
  }

  async #translated<T>(scope: Cancellation, call: () => Promise<T>): Promise<T> {
    try {
      await this.#connection.ready(scope);
      return await call();
    } catch (error) {
      scope.throwIfCancelled();
      if (error instanceof EndpointFailure) {
        throw error;
      }
      throw translateError(error, { endpoint: this.#endpoint, sent: true });
    }
  }
}
