import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type GrantSchema,
  type LockRequest,
  type LockResponse,
  LockResponseSchema,
  type LockStateSchema,
  type RenewResponse,
  RenewResponseSchema,
  type UnlockResponse,
  UnlockResponseSchema,
} from "@metasrv/proto/metasrv/v1";
import type { Clock } from "@metasrv/wire";
import type { Cancellation } from "../cancellation.js";
import { type Holding, type LockOutcome, readOutcome, type Renewed } from "../grant.js";
import { EndpointFailure, type Inspecting, type Inspections, type LockChannel } from "../lock-channel.js";
import type { Member } from "../member.js";
import { Inbox } from "./inbox.js";

/** A request that a channel got; the test answers it when it likes, or not at all. */
export class ScriptedCall<Request, Response> {
  readonly request: Request;
  readonly signal: AbortSignal;
  readonly sentAtMs: number;
  readonly answered: Promise<Response>;
  readonly #endpoint: string;
  #resolve: (answer: Response) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  constructor(endpoint: string, request: Request, { signal }: Cancellation, sentAtMs: number) {
    this.request = request;
    this.signal = signal;
    this.sentAtMs = sentAtMs;
    this.#endpoint = endpoint;
    this.answered = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    signal.addEventListener("abort", () => {
      this.#reject(signal.reason as Error);
    });
  }

  answer(message: Response): void {
    this.#resolve(message);
  }

  reject(error: Error): void {
    this.#reject(error);
  }

  /** The endpoint fails; by default, after the request may have arrived. */
  fail(why = "connection lost", maybeApplied = true): void {
    this.#reject(new EndpointFailure(this.#endpoint, why, maybeApplied));
  }
}

/** A stream that a channel opened. */
export class ScriptedStream {
  readonly request: { readonly method: string; readonly request: unknown };
  readonly signal: AbortSignal;
  readonly #endpoint: string;
  readonly #waiting: (() => Promise<unknown>)[] = [];
  #wake: () => void = () => undefined;

  constructor(
    endpoint: string,
    request: { readonly method: string; readonly request: unknown },
    { signal }: Cancellation,
  ) {
    this.request = request;
    this.signal = signal;
    this.#endpoint = endpoint;
    signal.addEventListener("abort", () => {
      this.#push(() => Promise.reject(signal.reason as Error));
    });
  }

  tell(message: unknown): void {
    this.#push(() => Promise.resolve(message));
  }

  fail(why = "connection lost"): void {
    this.#push(() => Promise.reject(new EndpointFailure(this.#endpoint, why, true)));
  }

  async *messages(): AsyncGenerator<unknown, void, undefined> {
    for (;;) {
      const next = this.#waiting.shift();
      if (next === undefined) {
        await new Promise<void>((resolve) => (this.#wake = resolve));
      } else {
        yield await next();
      }
    }
  }

  #push(next: () => Promise<unknown>): void {
    this.#waiting.push(next);
    this.#wake();
  }
}

/** The calls of operators, each of which is one call of the test's. */
function methods(call: (method: string) => (request: unknown) => unknown): Inspections {
  return new Proxy({} as Inspections, { get: (_, method) => call(String(method)) });
}

/** A channel whose server is the test. */
export class ScriptedChannel implements LockChannel {
  readonly endpoint: string;
  readonly locks = new Inbox<ScriptedCall<LockRequest, LockResponse>>();
  readonly unlocks = new Inbox<ScriptedCall<{ readonly key: Uint8Array }, UnlockResponse>>();
  readonly renewals = new Inbox<
    ScriptedCall<
      { readonly key: Uint8Array; readonly ttlMs: number; readonly downgraded: boolean; readonly value?: Uint8Array },
      RenewResponse
    >
  >();
  /** Calls of operators: each method, and what it was called with. */
  readonly inspections = new Inbox<ScriptedCall<{ readonly method: string; readonly request: unknown }, unknown>>();
  /** Streams that operators opened; the test says what comes on them, and how they end. */
  readonly streams = new Inbox<ScriptedStream>();
  readonly listings = new Inbox<ScriptedCall<object, readonly Member[]>>();
  readonly watches = new Inbox<ScriptedCall<(members: readonly Member[]) => void, never>>();
  /** How it was left. */
  readonly left: string[] = [];
  closed = false;
  readonly #clock: Clock;

  constructor(endpoint: string, clock: Clock) {
    this.endpoint = endpoint;
    this.#clock = clock;
  }

  async lock(request: LockRequest, scope: Cancellation): Promise<LockOutcome> {
    const call = this.locks.push(new ScriptedCall(this.endpoint, request, scope, this.#clock.now()));
    return readOutcome(await call.answered, call.sentAtMs);
  }

  async unlock({ key }: Holding, scope: Cancellation): Promise<void> {
    await this.unlocks.push(new ScriptedCall(this.endpoint, { key }, scope, this.#clock.now())).answered;
  }

  async renew({ key, downgraded, value }: Holding, ttlMs: number, scope: Cancellation): Promise<Renewed> {
    const request = { key, ttlMs, downgraded, ...(value !== undefined && { value }) };
    const call = this.renewals.push(new ScriptedCall(this.endpoint, request, scope, this.#clock.now()));
    return { ttlMs: Number((await call.answered).ttlMs), sentAtMs: call.sentAtMs };
  }

  inspect<T>(ask: Inspecting<Promise<T>>, scope: Cancellation): Promise<T> {
    const call = (method: string) => (request: unknown) => {
      const asked = new ScriptedCall<{ readonly method: string; readonly request: unknown }, unknown>(
        this.endpoint,
        { method, request },
        scope,
        this.#clock.now(),
      );
      return this.inspections.push(asked).answered;
    };
    return ask(methods(call), { signal: scope.signal, headers: {} });
  }

  async *follow<T>(open: Inspecting<AsyncIterable<T>>, scope: Cancellation): AsyncGenerator<T, void, undefined> {
    const call = (method: string) => (request: unknown) => {
      return this.streams.push(new ScriptedStream(this.endpoint, { method, request }, scope)).messages();
    };
    yield* open(methods(call), { signal: scope.signal, headers: {} });
  }

  async members(scope: Cancellation): Promise<readonly Member[]> {
    return this.listings.push(new ScriptedCall(this.endpoint, {}, scope, this.#clock.now())).answered;
  }

  async watchMembers(scope: Cancellation, onMembers: (members: readonly Member[]) => void): Promise<never> {
    return this.watches.push(new ScriptedCall(this.endpoint, onMembers, scope, this.#clock.now())).answered;
  }

  leave(when: "now" | "at leisure"): Promise<void> {
    this.left.push(when);
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
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
