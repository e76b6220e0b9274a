import { describe, expect, test } from "@jest/globals";
import type { MetaClientOptions } from "./client-options.js";
import type { LockSpan, LockTracer } from "./lock-tracer.js";
import { granted, refused, unlocked } from "./testing/scripted-channel.js";
import { scriptedClient } from "./testing/scripted-client.js";

const traceId = "a".repeat(32);

/** Spans that were ended, each as its name, attributes, links and status. */
class Recorder implements LockTracer {
  readonly ended: object[] = [];
  readonly #flags: number;
  #count = 0;

  constructor(flags: number) {
    this.#flags = flags;
  }

  startSpan(name: string, { attributes, links = [] }: Parameters<LockTracer["startSpan"]>[1] = {}): LockSpan {
    const spanId = String(++this.#count).repeat(16);
    const span = { name, ...attributes, links: links.map(({ context }) => context.spanId) };
    return {
      spanContext: () => ({ traceId, spanId, traceFlags: this.#flags }),
      setAttribute: (key, value) => Object.assign(span, { [key]: value }),
      addLink: ({ context }) => span.links.push(`${context.traceId}/${context.spanId}/${context.traceFlags}`),
      setStatus: (status) => Object.assign(span, { status }),
      end: () => this.ended.push(span),
    };
  }
}

function traced(flags = 1, options: Partial<MetaClientOptions> = {}) {
  const tracer = new Recorder(flags);
  const client = scriptedClient({ tracer, ...options });
  client.a.unlocks.always((call) => {
    call.answer(unlocked());
  });
  return { ...client, spans: tracer.ended };
}

describe("what a server is sent of a span", () => {
  test("is its traceparent, if it is sampled", async () => {
    const { meta, a } = traced();
    const lock = meta.lock("orders/42");
    const call = await a.locks.next();
    expect(call.request.traceparent).toBe(`00-${traceId}-${"1".repeat(16)}-01`);
    call.answer(granted());
    await (await lock).release();
    await meta.close();
  });

  test.each([
    ["is nothing, if it is not sampled", traced(0)],
    ["is nothing, without a tracer", scriptedClient()],
  ])("%s", async (_, { meta, a }) => {
    const lock = meta.lock("orders/42").catch(() => undefined);
    const call = await a.locks.next();
    expect(Object.keys(call.request)).not.toContain("traceparent");
    call.answer(granted());
    await lock;
    void meta.close();
  });
});

describe("spans", () => {
  test("tell of a request, who gave way to it, and its hold", async () => {
    const { meta, a, spans } = traced();
    const asked = meta.lock("orders/42");
    const unblockedBy = `00-${"b".repeat(32)}-${"c".repeat(16)}-01`;
    (await a.locks.next()).answer(granted({ token: 7n, unblockedBy }));
    const lock = await asked;
    const what = { "metasrv.lock.family": "orders", "metasrv.lock.kind": "exclusive", "metasrv.lock.token": "7" };
    const acquire = { name: "metasrv.lock.acquire", ...what, "metasrv.lock.outcome": "granted" };
    expect(spans).toEqual([{ ...acquire, links: [`${"b".repeat(32)}/${"c".repeat(16)}/1`] }]);
    await lock.release();
    await lock.release();
    const hold = { name: "metasrv.lock.hold", ...what, "metasrv.lock.end": "released" };
    expect(spans.slice(1)).toEqual([{ ...hold, links: ["1".repeat(16)] }]);
  });

  test("have the names of locks only on demand", async () => {
    const { meta, a, spans } = traced(1, { traceNames: true });
    const asked = meta.tryLockAll(["orders/42", Buffer.from("stock")]);
    (await a.locks.next()).answer(refused());
    expect(await asked).toBeNull();
    const several = { "metasrv.lock.family": "orders", "metasrv.lock.kind": "several" };
    const names = { "metasrv.lock.name": ["orders/42", "stock"], "metasrv.lock.outcome": "refused" };
    expect(spans).toEqual([{ name: "metasrv.lock.acquire", ...several, ...names, links: [] }]);
  });

  test("tell of a wait that was cancelled, and of one that took too long", async () => {
    const { meta, a, clock, spans } = traced();
    const stop = new AbortController();
    const cancelled = meta.lock("a", { signal: stop.signal });
    await a.locks.next();
    stop.abort();
    await expect(cancelled).rejects.toBe(stop.signal.reason);
    const late = meta.lock("a", { waitMs: 1_000 }).catch((error: unknown) => error);
    (await a.locks.next()).answer(refused());
    await late;
    const unanswered = meta.lock("a", { waitMs: 1_000 }).catch((error: unknown) => error);
    await a.locks.next();
    await clock.advance(60_000);
    await unanswered;
    expect(spans).toMatchObject([
      { "metasrv.lock.outcome": "cancelled" },
      { "metasrv.lock.outcome": "timed_out" },
      { "metasrv.lock.outcome": "timed_out" },
    ]);
    expect(spans.filter((span) => "status" in span)).toEqual([]);
  });

  test("tell of a failure, with its message", async () => {
    const { meta, a, spans } = traced();
    const failed = meta.lock("a").catch((error: unknown) => error);
    (await a.locks.next()).reject(new Error("no such right"));
    await failed;
    expect(spans).toMatchObject([{ "metasrv.lock.outcome": "failed", status: { code: 2, message: "no such right" } }]);
  });

  test("tell of a hold that was lost, once", async () => {
    const { meta, a, clock, spans } = traced();
    const asked = meta.lock("a", { keepAlive: false });
    (await a.locks.next()).answer(granted({ ttlMs: 1_000n }));
    const lock = await asked;
    await clock.advance(1_000);
    expect(spans.slice(1)).toMatchObject([{ "metasrv.lock.end": "lost" }]);
    await lock.release();
    expect(spans).toHaveLength(2);
  });
});
