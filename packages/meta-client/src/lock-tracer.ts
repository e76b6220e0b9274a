/** A span's place in its trace; `SpanContext` of `@opentelemetry/api`. */
export interface SpanPlace {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
  readonly isRemote?: boolean;
}

/** What a client needs of a `Span` of `@opentelemetry/api`. */
export interface LockSpan {
  spanContext(): SpanPlace;
  setAttribute(key: string, value: string): unknown;
  addLink(link: { context: SpanPlace }): unknown;
  setStatus(status: { code: number; message?: string }): unknown;
  end(): void;
}

/**
 * What a client needs of a tracer. A `Tracer` of `@opentelemetry/api` from 1.9 on is one. It is described here so that neither
 * the client nor its types need that package.
 */
export interface LockTracer {
  startSpan(
    name: string,
    options?: { attributes?: Record<string, string | string[]>; links?: { context: SpanPlace }[] },
  ): LockSpan;
}
