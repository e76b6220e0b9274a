import type { LockRequest } from "@metasrv/proto/metasrv/v1";
import { type Cancellation, settledOrCancelled } from "./cancellation.js";
import type { Holding, LockOutcome, Renewed } from "./grant.js";
import type { Inspecting, LockChannel } from "./lock-channel.js";
import type { Member } from "./member.js";
import { SessionOpener, type SessionOpenerOptions } from "./session-opener.js";
import type { SessionStream } from "./session-stream.js";
import { translateError } from "./translate-error.js";
import { UnaryChannel } from "./unary-channel.js";

export interface SessionChannelOptions extends SessionOpenerOptions {
  /** How long a server that is about to stop may take to answer what is unanswered. */
  readonly leaveTimeoutMs: number;
}

// A request that a server would refuse as too long goes alone, so that its refusal does not end the stream.
const longestRequest = 16 * 1024;

/** A channel that carries all requests about locks in one session. What is only read goes in calls of its own. */
export class SessionChannel implements LockChannel {
  readonly endpoint: string;
  readonly #options: SessionChannelOptions;
  readonly #opener: SessionOpener;
  readonly #unary: UnaryChannel;
  /**
   * The session that requests go through now; undefined before the first one. A broken one stays here until it is
   * replaced.
   */
  #stream: SessionStream | undefined;
  #opening: Promise<SessionStream> | undefined;

  constructor(options: SessionChannelOptions) {
    this.endpoint = options.endpoint;
    this.#options = options;
    this.#opener = new SessionOpener(options);
    this.#unary = new UnaryChannel(options.endpoint, options.connection, options.clock);
  }

  lock(request: LockRequest, scope: Cancellation): Promise<LockOutcome> {
    if (lengthOf(request) > longestRequest) {
      return this.#unary.lockAlone(request, scope);
    }
    return this.#session?.lock(request, scope) ?? this.#openAnd(scope, (session) => session.lock(request, scope));
  }

  unlock(holding: Holding, scope: Cancellation): Promise<void> {
    return this.#session?.unlock(holding, scope) ?? this.#openAnd(scope, (session) => session.unlock(holding, scope));
  }

  renew(holding: Holding, ttlMs: number, scope: Cancellation): Promise<Renewed> {
    return (
      this.#session?.renew(holding, ttlMs, scope) ??
      this.#openAnd(scope, (session) => session.renew(holding, ttlMs, scope))
    );
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

  /** The session for requests, if there is one at once. */
  get #session(): SessionStream | undefined {
    return this.#stream?.broken === false ? this.#stream : undefined;
  }

  async #openAnd<T>(scope: Cancellation, call: (session: SessionStream) => Promise<T>): Promise<T> {
    scope.throwIfCancelled();
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    let session;
    this.#options.connection.hold();
    try {
      session = await settledOrCancelled(this.#opening, scope);
    } catch (error) {
      scope.throwIfCancelled();
      throw translateError(error, { endpoint: this.endpoint, sent: false });
    } finally {
      this.#options.connection.release();
    }
    return call(session);
  }

  async #open(): Promise<SessionStream> {
    const stream = await this.#opener.open();
    this.#stream = stream;
    if (stream.draining) {
      this.#options.listener.onDraining();
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
