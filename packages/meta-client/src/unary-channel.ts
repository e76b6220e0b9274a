import { createClient, type CallOptions, type Client } from "@connectrpc/connect";
import {
  LockService,
  type LockRequest,
  type LockResponse,
  type RenewRequest,
  type RenewResponse,
  type UnlockRequest,
  type UnlockResponse,
} from "@metasrv/proto/metasrv/v1";
import type { Clock } from "./clock.js";
import type { Connection } from "./connection.js";
import type { Answer, LockChannel } from "./lock-channel.js";
import { translateError } from "./translate-error.js";

/** A channel that makes one RPC of each request. */
export class UnaryChannel implements LockChannel {
  readonly endpoint: string;
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #service: Client<typeof LockService>;

  constructor(endpoint: string, connection: Connection, clock: Clock) {
    this.endpoint = endpoint;
    this.#connection = connection;
    this.#clock = clock;
    this.#service = createClient(LockService, connection.transport);
  }

  lock(request: LockRequest, signal: AbortSignal): Promise<Answer<LockResponse>> {
    return this.#ask((options) => this.#service.lock(request, options), signal);
  }

  unlock(request: UnlockRequest, signal: AbortSignal): Promise<Answer<UnlockResponse>> {
    return this.#ask((options) => this.#service.unlock(request, options), signal);
  }

  renew(request: RenewRequest, signal: AbortSignal): Promise<Answer<RenewResponse>> {
    return this.#ask((options) => this.#service.renew(request, options), signal);
  }

  close(): void {
    this.#connection.close();
  }

  async #ask<T>(rpc: (options: CallOptions) => Promise<T>, signal: AbortSignal): Promise<Answer<T>> {
    let sent = false;
    try {
      await this.#connection.ready(signal);
      // Only now, so that the time to connect takes nothing off the validity of what is granted.
      const sentAtMs = this.#clock.now();
      sent = true;
      return { message: await rpc({ signal }), sentAtMs };
    } catch (error) {
      signal.throwIfAborted();
      throw translateError(error, { endpoint: this.endpoint, sent });
    }
  }
}
