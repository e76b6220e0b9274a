import { type Client, createClient } from "@connectrpc/connect";
import { ClusterService } from "@metasrv/proto/metasrv/v1";
import type { Cancellation } from "./cancellation.js";
import type { Connection } from "./connection.js";
import { EndpointFailure } from "./endpoint-failure.js";
import { type Member, readMember } from "./member.js";
import { translateError } from "./translate-error.js";

/** Asks one endpoint which servers there are. */
export class ClusterCalls {
  readonly #endpoint: string;
  readonly #connection: Connection;
  readonly #service: Client<typeof ClusterService>;

  constructor(endpoint: string, connection: Connection) {
    this.#endpoint = endpoint;
    this.#connection = connection;
    this.#service = createClient(ClusterService, connection.transport);
  }

  /** As `LockChannel.members`. */
  async members(scope: Cancellation): Promise<readonly Member[]> {
    this.#connection.hold();
    try {
      return await this.#translated(scope, async () => {
        const { members } = await this.#service.listMembers({}, { signal: scope.signal });
        return members.map(readMember);
      });
    } finally {
      this.#connection.release();
    }
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
