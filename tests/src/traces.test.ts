import { afterAll, afterEach, beforeEach, expect, test } from "@jest/globals";
import { MetaClient } from "@metasrv/meta-client";
import { leakCheck, type Metasrv, startEtcd, startMetasrv } from "@metasrv/testing";
import { context, trace, type Tracer } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  AlwaysOffSampler,
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  type Sampler,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { PlainLocks } from "./plain-locks.js";

afterAll(leakCheck());

let exporter: InMemorySpanExporter;

function tracerWith(sampler?: Sampler): Tracer {
  const spanProcessors = [new SimpleSpanProcessor(exporter)];
  return new BasicTracerProvider({ spanProcessors, ...(sampler && { sampler }) }).getTracer("orders");
}

beforeEach(() => {
  exporter = new InMemorySpanExporter();
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
});

afterEach(() => {
  context.disable();
});

/** The span of that name whose parent this is. */
function spanIn(parent: ReadableSpan | undefined, name: string): ReadableSpan {
  const spans = exporter.getFinishedSpans().filter((span) => {
    return span.name === name && span.parentSpanContext?.spanId === parent?.spanContext().spanId;
  });
  const [span, ...more] = spans;
  if (span === undefined || more.length > 0) {
    throw new Error(`expected one ${name} with that parent, and there are ${spans.length}`);
  }
  return span;
}

function linksOf({ links }: ReadableSpan): string[] {
  return links.map(({ context: { traceId, spanId } }) => `${traceId}/${spanId}`);
}

function placeOf(span: ReadableSpan): string {
  return `${span.spanContext().traceId}/${span.spanContext().spanId}`;
}

/** Two requests for one lock, each in a span of its own, the second at another server or at the same one. */
async function contend(tracer: Tracer, one: Metasrv, other: Metasrv): Promise<void> {
  const options = { firstEndpoint: "listed", discover: false, tracer } as const;
  await using first = new MetaClient({ endpoints: [one.url], ...options });
  await using second = new MetaClient({ endpoints: [other.url], ...options });
  using plain = new PlainLocks(one.url);
  let billed: Promise<void> | undefined;
  await tracer.startActiveSpan("ship", async (ship) => {
    await first.withLock("orders/42", async () => {
      billed = tracer.startActiveSpan("bill", { root: true }, async (bill) => {
        await second.withLock("orders/42", () => Promise.resolve());
        bill.end();
      });
      await plain.waitersAre("orders/42", 1);
    });
    ship.end();
  });
  await billed;
}

test("the trace of a request that waited has a link to the request that it waited for", async () => {
  await using server = await startMetasrv();
  await contend(tracerWith(), server, server);
  const ship = spanIn(undefined, "ship");
  const bill = spanIn(undefined, "bill");
  const acquires = [spanIn(ship, "metasrv.lock.acquire"), spanIn(bill, "metasrv.lock.acquire")] as const;
  const holds = [spanIn(ship, "metasrv.lock.hold"), spanIn(bill, "metasrv.lock.hold")] as const;
  expect(linksOf(acquires[0])).toEqual([]);
  expect(linksOf(acquires[1])).toEqual([placeOf(acquires[0])]);
  expect(holds.map(linksOf)).toEqual(acquires.map((acquire) => [placeOf(acquire)]));
  expect(acquires[0].spanContext().traceId).not.toBe(acquires[1].spanContext().traceId);
  const token = acquires[1].attributes["metasrv.lock.token"];
  expect(token).toMatch(/^\d+$/);
  expect(acquires[1].attributes).toEqual({
    "metasrv.lock.family": "orders",
    "metasrv.lock.kind": "exclusive",
    "metasrv.lock.outcome": "granted",
    "metasrv.lock.token": token,
  });
  expect(holds[1].attributes).toMatchObject({ "metasrv.lock.token": token, "metasrv.lock.end": "released" });
});

test("there is no such link when two servers served them", async () => {
  await using etcd = await startEtcd();
  await using one = await startMetasrv({ store: etcd.endpoint });
  await using other = await startMetasrv({ store: etcd.endpoint });
  await contend(tracerWith(), one, other);
  expect(linksOf(spanIn(spanIn(undefined, "bill"), "metasrv.lock.acquire"))).toEqual([]);
});

test("without sampling, nothing is exported and all goes on", async () => {
  await using server = await startMetasrv();
  await contend(tracerWith(new AlwaysOffSampler()), server, server);
  expect(exporter.getFinishedSpans()).toEqual([]);
});

interface Answer {
  readonly granted: { readonly key: string; readonly unblockedBy?: string };
}

test("a server ignores a traceparent that is none, and tells one that is", async () => {
  await using server = await startMetasrv();
  const call = async (method: string, request: object): Promise<Answer> => {
    const response = await fetch(`${server.url}/metasrv.v1.LockService/${method}`, {
      method: "POST",
      headers: { "content-type": "application/json", connection: "close" },
      body: JSON.stringify(request),
    });
    expect(response.status).toBe(200);
    return (await response.json()) as Answer;
  };
  using plain = new PlainLocks(server.url);
  const good = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
  const unblockedBy = async (own: string, before: string): Promise<string | undefined> => {
    const first = await call("Lock", { name: "a", traceparent: before });
    const second = call("Lock", { name: "a", traceparent: own });
    await plain.waitersAre("a", 1);
    await call("Unlock", { key: first.granted.key });
    const { granted } = await second;
    await call("Unlock", { key: granted.key });
    return granted.unblockedBy;
  };
  expect(await unblockedBy(good, good)).toBe(good);
  expect(await unblockedBy(good, `${good}\n`)).toBeUndefined();
  expect(await unblockedBy("x".repeat(10_000), good)).toBeUndefined();
});

test("a tracer of OpenTelemetry's API is one for the client, also before there is an SDK", async () => {
  await using server = await startMetasrv();
  await using meta = new MetaClient({ endpoints: [server.url], tracer: trace.getTracer("orders") });
  await using lock = await meta.lock("orders/42");
  expect(lock.held).toBe(true);
});
