import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  LockResponseSchema,
  RenewResponseSchema,
  UnlockResponseSchema,
  type GrantSchema,
  type LockRequest,
  type LockResponse,
  type LockStateSchema,
  type RenewRequest,
  type RenewResponse,
  type UnlockRequest,
  type UnlockResponse,
} from "@metasrv/proto/metasrv/v1";
import { EndpointFailure } from "../endpoint-failure.js";
import type { Clock } from "../clock.js";
import type { Answer, LockChannel } from "../lock-channel.js";

/** A request that a channel got; the test answers it when it likes, or not at all. */
export class ScriptedCall<Request, Response> {
  readonly request: Request;
  readonly signal: AbortSignal;
  readonly answered: Promise<Answer<Response>>;
  readonly #endpoint: string;
  readonly #sentAtMs: number;
  #resolve: (answer: Answer<Response>) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  constructor(endpoint: string, request: Request, signal: AbortSignal, sentAtMs: number) {
    this.request = request;
    this.signal = signal;
    this.#endpoint = endpoint;
    this.#sentAtMs = sentAtMs;
    this.answered = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    signal.addEventListener("abort", () => {
      this.#reject(signal.reason as Error);
    });
  }

  answer(message: Response): void {
    this.#resolve({ message, sentAtMs: this.#sentAtMs });
  }

  reject(error: Error): void {
    this.#reject(error);
  }

  /** The endpoint fails; by default, after the request may have arrived. */
  fail(why = "connection lost", maybeApplied = true): void {
    this.#reject(new EndpointFailure(this.#endpoint, why, maybeApplied));
  }
}

/** Requests of one kind, in the order of their arrival. */
class Inbox<T> {
  readonly all: T[] = [];
  readonly #waiting: ((call: T) => void)[] = [];
  #taken = 0;
  #always: ((call: T) => void) | undefined;

  push(call: T): T {
    this.all.push(call);
    this.#always?.(call);
    this.#serve();
    return call;
  }

  /** The next request that was not taken yet, as soon as there is one. */
  next(): Promise<T> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#serve();
    });
  }

  /** Every request so far, and from now on, is handled like this. */
  always(handle: (call: T) => void): void {
    this.#always = handle;
    this.all.forEach(handle);
  }

  #serve(): void {
    for (let call = this.all[this.#taken]; call !== undefined && this.#waiting.length > 0;) {
      this.#waiting.shift()?.(call);
      call = this.all[++this.#taken];
    }
  }
}

/** A channel whose server is the test. */
export class ScriptedChannel implements LockChannel {
  readonly endpoint: string;
  readonly locks = new Inbox<ScriptedCall<LockRequest, LockResponse>>();
  readonly unlocks = new Inbox<ScriptedCall<UnlockRequest, UnlockResponse>>();
  readonly renewals = new Inbox<ScriptedCall<RenewRequest, RenewResponse>>();
  closed = false;
  readonly #clock: Clock;

  constructor(endpoint: string, clock: Clock) {
    this.endpoint = endpoint;
    this.#clock = clock;
  }

  lock(request: LockRequest, signal: AbortSignal): Promise<Answer<LockResponse>> {
    return this.locks.push(new ScriptedCall(this.endpoint, request, signal, this.#clock.now())).answered;
  }

  unlock(request: UnlockRequest, signal: AbortSignal): Promise<Answer<UnlockResponse>> {
    return this.unlocks.push(new ScriptedCall(this.endpoint, request, signal, this.#clock.now())).answered;
  }

  renew(request: RenewRequest, signal: AbortSignal): Promise<Answer<RenewResponse>> {
    return this.renewals.push(new ScriptedCall(this.endpoint, request, signal, this.#clock.now())).answered;
  }

  close(): void {
    this.closed = true;
  }
}

/** The answer that grants a lock: for 10 s, at once, unless said otherwise. */
export function granted(grant: MessageInitShape<typeof GrantSchema> = {}): LockResponse {
  const value = { key: Uint8Array.of(7), token: 42n, ttlMs: 10_000n, waitedMs: 0, ...grant };
  return create(LockResponseSchema, { outcome: { case: "granted", value } });
}

/** The answer that refuses a lock. */
export function refused(state: MessageInitShape<typeof LockStateSchema> = {}): LockResponse {
  return create(LockResponseSchema, { outcome: { case: "refused", value: { state } } });
}

/** The answer that renews a lock. */
export function renewed(ttlMs = 10_000): RenewResponse {
  return create(RenewResponseSchema, { ttlMs: BigInt(ttlMs) });
}

/** The answer that a lock was released. */
export function unlocked(): UnlockResponse {
  return create(UnlockResponseSchema);
}
