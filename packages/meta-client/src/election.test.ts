import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "@jest/globals";
import { WatchLockResponseSchema } from "@metasrv/proto/metasrv/v1";
import { settled } from "@metasrv/wire/testing";
import { Elections, type LeadOptions, type Term } from "./election.js";
import { LockHandle } from "./lock-handle.js";
import type { LockInspector } from "./lock-inspector.js";
import { InvalidArgumentError, LeaderStuckError, LockLostError } from "./meta-errors.js";
import { type ScriptedClient, scriptedClient } from "./testing/scripted-client.js";

/** Lets the candidate win. */
async function elect({ a }: Pick<ScriptedClient, "a">, token = 1n) {
  const call = await a.locks.next();
  call.answer(granted(token));
  return call;
}

function granted(token: bigint) {
  return {
    $typeName: "metasrv.v1.LockResponse" as const,
    outcome: {
      case: "granted" as const,
      value: {
        $typeName: "metasrv.v1.Grant" as const,
        key: Uint8Array.of(Number(token)),
        token,
        ttlMs: 9_000n,
        waitedMs: 0,
        floor: token,
        limit: 0,
        parts: [],
      },
    },
  };
}

function unlocked() {
  return { $typeName: "metasrv.v1.UnlockResponse" as const };
}

/** A callback that ends when the test says so. */
class Body {
  readonly terms: Term[] = [];
  readonly #ends: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  running = 0;
  mostRunning = 0;

  readonly run = async (term: Term): Promise<void> => {
    this.terms.push(term);
    this.mostRunning = Math.max(this.mostRunning, ++this.running);
    try {
      await new Promise<void>((resolve, reject) => this.#ends.push({ resolve, reject }));
    } finally {
      this.running--;
    }
  };

  end(): void {
    this.#ends.at(-1)?.resolve();
  }

  fail(error: unknown): void {
    this.#ends.at(-1)?.reject(error);
  }
}

async function leading(options: LeadOptions = {}) {
  const client = scriptedClient();
  const body = new Body();
  const leads = client.meta.lead("boss", { rejoinMs: 1_000, ...options }, body.run);
  leads.catch(() => undefined);
  await elect(client);
  await settled();
  return { ...client, client, body, leads };
}

describe("lead", () => {
  test("asks for an exclusive lock with the value, and ends when the callback does", async () => {
    const client = scriptedClient();
    const body = new Body();
    const leads = client.meta.lead("boss", { value: "10.0.0.1", labels: { zone: "a" } }, body.run);
    const { request } = await elect(client);
    expect(request).toMatchObject({ lock: { value: "boss" }, value: Buffer.from("10.0.0.1"), labels: { zone: "a" } });
    await settled();
    expect(body.terms).toMatchObject([{ name: "boss", token: 1n, floor: 1n }]);
    body.end();
    (await client.a.unlocks.next()).answer(unlocked());
    await leads;
    expect(body.terms[0]?.signal.aborted).toBe(true);
  });

  test("keeps the lock until the callback has ended after a resignation, and comes back at the end of the queue", async () => {
    const { client, a, clock, body, leads } = await leading();
    await body.terms[0]?.resign();
    expect(body.terms[0]?.signal.reason).toBeInstanceOf(LockLostError);
    await settled();
    expect(a.unlocks.all).toHaveLength(0);
    body.end();
    (await a.unlocks.next()).answer(unlocked());
    await settled();
    expect(a.locks.all).toHaveLength(1);
    await clock.advance(1_000);
    await elect(client, 2n);
    await settled();
    expect(body.terms.map(({ token }) => token)).toEqual([1n, 2n]);
    body.end();
    (await a.unlocks.next()).answer(unlocked());
    await leads;
    expect(body.mostRunning).toBe(1);
  });

  test("after a loss, waits for the callback before it takes part again, whatever the callback fails with because of it", async () => {
    const { client, a, clock, body } = await leading();
    const [term] = body.terms;
    await clock.advance(9_000);
    expect(term?.signal.aborted).toBe(true);
    await clock.advance(2_000);
    expect(a.locks.all).toHaveLength(1);
    body.fail(term?.signal.reason);
    (await a.unlocks.next()).answer(unlocked());
    await settled();
    await clock.advance(1_000);
    await elect(client, 2n);
    await settled();
    expect(body.terms).toHaveLength(2);
    expect(body.mostRunning).toBe(1);
  });

  test("does not begin where the lock is over when the grant arrives, and comes back", async () => {
    const client = scriptedClient();
    const { a, clock } = client;
    const body = new Body();
    void client.meta.lead("boss", { rejoinMs: 1_000 }, body.run);
    const call = await a.locks.next();
    await clock.advance(8_900);
    call.answer(granted(1n));
    (await a.unlocks.next()).answer(unlocked());
    await settled();
    expect(body.terms).toEqual([]);
    await clock.advance(2_000);
    await elect(client, 2n);
    await settled();
    expect(body.terms).toMatchObject([{ token: 2n }]);
  });

  test("does not begin where the process was stopped between the grant and the term", async () => {
    const client = scriptedClient();
    const { a, clock } = client;
    const asked = client.meta.lock("boss", { keepAlive: false });
    await elect(client);
    const lost = await asked;
    await clock.advance(9_000);
    const handles = lost instanceof LockHandle ? [lost] : [];
    const body = new Body();
    const elections = new Elections({
      clock,
      random: () => 0.5,
      inspector: undefined as unknown as LockInspector,
      acquire: () => Promise.resolve(handles.shift() ?? new Promise<never>(() => undefined)),
      run: (_, __, run) => run(),
    });
    void elections.lead("boss", {}, body.run);
    (await a.unlocks.next()).answer(unlocked());
    await settled();
    expect(body.terms).toEqual([]);
  });

  test("ends with the error of a callback that fails, and gives the lock back", async () => {
    const { a, body, leads } = await leading();
    body.fail(new Error("no disk"));
    (await a.unlocks.next()).answer(unlocked());
    await expect(leads).rejects.toThrow("no disk");
  });

  test("tells of a callback that goes on, and renews its lock no more", async () => {
    const { a, clock, body, leads } = await leading({ stopGraceMs: 500 });
    await body.terms[0]?.resign();
    await clock.advance(500);
    const error: unknown = await leads.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(LeaderStuckError);
    expect((error as Error).message).toMatch(/goes on 500 ms after its term has ended .token 1./);
    await clock.advance(20_000);
    expect(a.renewals.all).toHaveLength(0);
    // Once it has ended after all, the lock is given back.
    body.end();
    await settled();
    expect(body.running).toBe(0);
  });

  test("resigns when it is not healthy, or cannot say so", async () => {
    let answer: () => boolean = () => true;
    const { a, clock, body } = await leading({ healthy: () => answer() });
    await clock.advance(3_000);
    (await a.renewals.next()).answer({ $typeName: "metasrv.v1.RenewResponse", ttlMs: 9_000n });
    await settled();
    expect(body.terms[0]?.signal.aborted).toBe(false);
    answer = () => {
      throw new Error("no answer");
    };
    await clock.advance(3_000);
    expect(body.terms[0]?.signal.reason).toMatchObject({ message: expect.stringContaining("is not healthy") });
  });

  test("ends with the reason of its signal, while it waits and while it leads", async () => {
    const waiting = scriptedClient();
    const end = new AbortController();
    const waits = waiting.meta.lead("boss", { signal: end.signal }, () => undefined);
    await waiting.a.locks.next();
    end.abort(new Error("going down"));
    await expect(waits).rejects.toThrow("going down");

    const stop = new AbortController();
    const { a, body, leads } = await leading({ signal: stop.signal });
    stop.abort(new Error("going down, too"));
    expect(body.terms[0]?.signal.reason).toMatchObject({ message: "going down, too" });
    body.end();
    (await a.unlocks.next()).answer(unlocked());
    await expect(leads).rejects.toThrow("going down, too");
  });

  test.each([
    ["healthy", { healthy: true }],
    ["stopGraceMs", { stopGraceMs: -1 }],
    ["value", { value: 5 }],
    ["rejoinMs", { rejoinMs: 0.5 }],
  ])("refuses a wrong %s", async (name, options) => {
    const { meta, a } = scriptedClient();
    const error: unknown = await meta
      .lead("boss", options as never, () => undefined)
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect((error as Error).message).toContain(name);
    expect(a.locks.all).toHaveLength(0);
  });
});

describe("a term", () => {
  test("publishes a value with a renewal, and until one is answered with each", async () => {
    const { a, b, clock, body } = await leading();
    const published = body.terms[0]?.publish("one");
    (await a.renewals.next()).fail();
    (await b.renewals.next()).fail();
    await expect(published).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await clock.advance(3_000);
    const again = await Promise.race([a.renewals.next(), b.renewals.next()]);
    expect(again.request.value).toEqual(Buffer.from("one"));
  });

  test("that is over publishes nothing", async () => {
    const { body } = await leading();
    await body.terms[0]?.resign();
    await expect(body.terms[0]?.publish("one")).rejects.toBeInstanceOf(LockLostError);
  });
});

describe("campaign", () => {
  test("yields terms, gives each back before the next, and resigns when it is left", async () => {
    const client = scriptedClient();
    const terms = client.meta.campaign("boss", { rejoinMs: 0 });
    const first = terms.next();
    await elect(client);
    expect((await first).value).toMatchObject({ token: 1n });
    const second = terms.next();
    (await client.a.unlocks.next()).answer(unlocked());
    await settled();
    await client.clock.advance(1);
    await elect(client, 2n);
    expect((await second).value).toMatchObject({ token: 2n });
    const left = terms.return();
    (await client.a.unlocks.next()).answer(unlocked());
    await left;
  });
});

describe("observeLeader", () => {
  test("tells of leaders, values and vacancies, each once, and nothing of the past", async () => {
    const { meta, a } = scriptedClient();
    const told: unknown[] = [];
    const end = new AbortController();
    const observing = (async () => {
      for await (const leader of meta.observeLeader("boss", { signal: end.signal })) {
        told.push(leader && [leader.owner, leader.token, Buffer.from(leader.value).toString()]);
      }
    })().catch(() => undefined);
    const stream = await a.streams.next();
    const show = (token?: bigint, value = "", holds = true) => {
      stream.tell(
        create(WatchLockResponseSchema, {
          lock: { lock: { case: "name", value: "boss" } },
          tickets: token === undefined ? [] : [{ token, holds, owner: `owner ${token}`, value: Buffer.from(value) }],
        }),
      );
    };
    show();
    show(1n, "x");
    show(1n, "x");
    show(1n, "y");
    show(2n, "z", false);
    show(2n, "z");
    show(1n, "y");
    await settled();
    end.abort();
    await observing;
    expect(told).toEqual([null, ["owner 1", 1n, "x"], ["owner 1", 1n, "y"], null, ["owner 2", 2n, "z"]]);
  });
});
