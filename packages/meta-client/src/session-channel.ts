import { Code, ConnectError } from "@connectrpc/connect";
import type { LockRequest } from "@metasrv/proto/metasrv/v1";
import type { Clock } from "@metasrv/wire";
import { Cancellation, settledOrCancelled } from "./cancellation.js";
import type { Connection } from "./connection.js";
import type { Holding, LockOutcome, Renewed } from "./grant.js";
import type { Inspecting, LockChannel } from "./lock-channel.js";
import type { Member } from "./member.js";
import { SessionStream } from "./session-stream.js";
import { openSessionWire } from "./session-wire.js";
import { translateError } from "./translate-error.js";
import { UnaryChannel } from "./unary-channel.js";

export interface SessionChannelOptions {
  readonly endpoint: string;
  readonly connection: Connection;
  readonly clock: Clock;
  /** How long opening a stream may take once there is a connection. */
  readonly openTimeoutMs: number;
  /** How long a server that is about to stop may take to answer what is unanswered. */
  readonly leaveTimeoutMs: number;
  /** Called when the server is about to stop. */
  readonly onDraining: () => void;
}

type Way = Pick<SessionStream, "lock" | "unlock" | "renew">;

// A request that a server would refuse as too long goes alone, so that its refusal does not end the stream.
const longestRequest = 16 * 1024;

/** A channel that carries all requests over one stream. If the server has no sessions, it makes unary calls instead. */
export class SessionChannel implements LockChannel {
  readonly endpoint: string;
  readonly #options: SessionChannelOptions;
  readonly #unary: UnaryChannel;
  /**
   * The stream that requests go through now; undefined before the first one. A broken stream stays here until it is
   * replaced.
   */
  #stream: SessionStream | undefined;
  #opening: Promise<Way> | undefined;
  #unsupported = false;

  constructor(options: SessionChannelOptions) {
    this.endpoint = options.endpoint;
    this.#options = options;
    this.#unary = new UnaryChannel(options.endpoint, options.connection, options.clock);
  }

  lock(request: LockRequest, scope: Cancellation): Promise<LockOutcome> {
    if (lengthOf(request) > longestRequest) {
      return this.#unary.lock(request, scope);
    }
    return this.#way?.lock(request, scope) ?? this.#openAnd(scope, (way) => way.lock(request, scope));
  }

  unlock(holding: Holding, scope: Cancellation): Promise<void> {
    return this.#way?.unlock(holding, scope) ?? this.#openAnd(scope, (way) => way.unlock(holding, scope));
  }

  renew(holding: Holding, ttlMs: number, scope: Cancellation): Promise<Renewed> {
    return this.#way?.renew(holding, ttlMs, scope) ?? this.#openAnd(scope, (way) => way.renew(holding, ttlMs, scope));
  }

  inspect<T>(ask: Inspecting<Promise<T>>, scope: Cancellation): Promise<T> {
    return this.#unary.inspect(ask, scope);
  }

  follow<T>(open: Inspecting<AsyncIterable<T>>, scope: Cancellation): AsyncGenerator<T, void, undefined> {
    return this.#unary.follow(open, scope);
  }

  members(scope: Cancellation): Promise<readonly Member[]> {
    return this.#unary.members(scope);
  }

  watchMembers(scope: Cancellation, onMembers: (members: readonly Member[]) => void): Promise<never> {
    return this.#unary.watchMembers(scope, onMembers);
  }

  async leave(when: "now" | "at leisure"): Promise<void> {
    await this.#opening?.catch(() => undefined);
    const stream = this.#stream;
    if (stream === undefined) {
      return;
    }
    await stream.leave(when === "now" ? this.#options.leaveTimeoutMs : undefined);
    if (this.#stream === stream && this.#opening === undefined) {
      this.#options.connection.close();
    }
  }

  async close(withinMs: number): Promise<void> {
    const { clock, connection } = this.#options;
    const stream = this.#stream;
    if (stream !== undefined && withinMs > 0) {
      const timer = clock.after(withinMs, () => {
        stream.close();
      });
      await stream.end();
      timer.cancel();
    }
    stream?.close();
    connection.end();
  }

  /** The way for requests, if there is one at once. */
  get #way(): Way | undefined {
    if (this.#stream?.broken === false) {
      return this.#stream;
    }
    return this.#unsupported ? this.#unary : undefined;
  }

  async #openAnd<T>(scope: Cancellation, call: (way: Way) => Promise<T>): Promise<T> {
    scope.throwIfCancelled();
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    let way;
    this.#options.connection.hold();
    try {
      way = await settledOrCancelled(this.#opening, scope);
    } catch (error) {
      scope.throwIfCancelled();
      throw translateError(error, { endpoint: this.endpoint, sent: false });
    } finally {
      this.#options.connection.release();
    }
    return call(way);
  }

  async #open(): Promise<Way> {
    const { endpoint, connection, clock, openTimeoutMs, onDraining } = this.#options;
    await connection.ready(new Cancellation());
    const stream = new SessionStream({
      endpoint,
      openWire: (listener) => openSessionWire(connection, listener),
      clock,
      holdProcess: (hold) => {
        if (hold) {
          connection.hold();
        } else {
          connection.release();
        }
      },
      disconnect: (reason) => {
        connection.close(reason);
      },
      onDraining,
    });
    const timer = clock.after(openTimeoutMs, () => {
      stream.close(`no session within ${openTimeoutMs} ms`);
    });
    try {
      await stream.open();
    } catch (error) {
      if (ConnectError.from(error).code !== Code.Unimplemented) {
        throw error;
      }
      this.#unsupported = true;
      return this.#unary;
    } finally {
      timer.cancel();
    }
    this.#stream = stream;
    if (stream.draining) {
      onDraining();
    }
    return stream;
  }
}

/** About how long a request is. */
function lengthOf({ lock, owner, parts, labels, within, value }: LockRequest): number {
  let length = (lock.value?.length ?? 0) + owner.length + value.length;
  for (const named of [...parts, ...within]) {
    length += named.lock.value?.length ?? 0;
  }
  for (const [key, text] of Object.entries(labels)) {
    length += key.length + text.length;
  }
  return length;
}
