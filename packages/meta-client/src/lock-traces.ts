import type { Granted, LockOutcome } from "./grant.js";
import { type AskedLock, modeOf } from "./lock-arguments.js";
import type { LockName } from "./lock-name.js";
import type { LockTracer, SpanPlace } from "./lock-tracer.js";
import { ClosedError, LockLostError, WaitTimeoutError } from "./meta-errors.js";

/** `SpanStatusCode.ERROR` of `@opentelemetry/api`. */
const errorStatus = 2;

/** `TraceFlags.SAMPLED`: somebody keeps the span. */
const sampledFlag = 1;

/** What a span tells of a request. */
export interface TracedAsk {
  readonly locks: readonly AskedLock[];
  readonly waitMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  /** Of the span, if it is sampled. */
  readonly traceparent?: string | undefined;
}

/** Makes spans of requests for locks, and of holds. Both have the span as parent that is active when the lock is asked for. */
export class LockTraces {
  readonly #tracer: LockTracer;
  readonly #names: boolean;

  /** @param names - whether spans have the names of locks */
  constructor(tracer: LockTracer, names: boolean) {
    this.#tracer = tracer;
    this.#names = names;
  }

  /** Makes the span of a request. @param request - asks, and says what came of it */
  async acquire<Ask extends TracedAsk>(ask: Ask, request: (ask: Ask) => Promise<LockOutcome>): Promise<LockOutcome> {
    const span = this.#tracer.startSpan("metasrv.lock.acquire", { attributes: this.#attributesOf(ask.locks) });
    try {
      const place = span.spanContext();
      const sampled = (place.traceFlags & sampledFlag) !== 0;
      const outcome = await request(sampled ? { ...ask, traceparent: traceparentOf(place) } : ask);
      // A server that ends a wait says so as a refusal.
      span.setAttribute("metasrv.lock.outcome", outcome.kind === "refused" && ask.waitMs ? "timed_out" : outcome.kind);
      if (outcome.kind === "refused") {
        return outcome;
      }
      const { token, unblockedBy } = outcome.grant;
      span.setAttribute("metasrv.lock.token", String(token));
      const other = unblockedBy === undefined ? undefined : placeOf(unblockedBy);
      if (other !== undefined) {
        span.addLink({ context: other });
      }
      return { kind: "granted", grant: { ...outcome.grant, acquiredAt: place } };
    } catch (error) {
      const outcome = failureOf(error, ask);
      span.setAttribute("metasrv.lock.outcome", outcome);
      if (outcome === "failed") {
        span.setStatus({ code: errorStatus, message: error instanceof Error ? error.message : String(error) });
      }
      throw error;
    } finally {
      span.end();
    }
  }

  /** Begins the span of a hold. @returns ends it, when it is called first; the signal is that of the hold */
  hold(locks: readonly AskedLock[], { token, acquiredAt }: Granted): (signal: AbortSignal) => void {
    const attributes = { ...this.#attributesOf(locks), "metasrv.lock.token": String(token) };
    const links = acquiredAt === undefined ? [] : [{ context: acquiredAt }];
    const span = this.#tracer.startSpan("metasrv.lock.hold", { attributes, links });
    let ended = false;
    return (signal) => {
      if (!ended) {
        ended = true;
        span.setAttribute("metasrv.lock.end", endOf(signal));
        span.end();
      }
    };
  }

  #attributesOf(locks: readonly AskedLock[]): Record<string, string | string[]> {
    const [first] = locks;
    const names = locks.map(({ name }) => textOf(name));
    const [family = ""] = names[0]?.split("/", 1) ?? [];
    const kind = first === undefined || locks.length > 1 ? "several" : modeOf(first.share);
    const attributes = { "metasrv.lock.family": family, "metasrv.lock.kind": kind };
    return this.#names ? { ...attributes, "metasrv.lock.name": names } : attributes;
  }
}

function textOf(name: LockName): string {
  return typeof name === "string" ? name : new TextDecoder().decode(name);
}

function traceparentOf({ traceId, spanId, traceFlags }: SpanPlace): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
}

function placeOf(traceparent: string): SpanPlace | undefined {
  const [, traceId, spanId, flags] = traceparent.split("-");
  if (traceId === undefined || spanId === undefined || flags === undefined) {
    return undefined;
  }
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
}

function failureOf(error: unknown, { signal }: TracedAsk): "timed_out" | "cancelled" | "failed" {
  if (error instanceof WaitTimeoutError) {
    return "timed_out";
  }
  const cancelled = error instanceof ClosedError || (signal?.aborted === true && error === signal.reason);
  return cancelled ? "cancelled" : "failed";
}

function endOf({ aborted, reason }: AbortSignal): "released" | "forced" | "lost" {
  if (!aborted) {
    return "released";
  }
  return reason instanceof LockLostError && reason.forced !== undefined ? "forced" : "lost";
}
