import { afterEach, describe, expect, test } from "@jest/globals";
import { settled } from "@metasrv/wire/testing";
import { EventListeners } from "./client-events.js";
import { MetaClient } from "./meta-client.js";
import { InvalidArgumentError, LockLostError, UnavailableError } from "./meta-errors.js";
import { lockServer } from "./testing/http2-server.js";
import { Inbox } from "./testing/inbox.js";
import { granted, unlocked } from "./testing/scripted-channel.js";
import { scriptedClient } from "./testing/scripted-client.js";
import { grantEvent, ScriptedSessions } from "./testing/scripted-session.js";

const opened: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of opened.splice(0).reverse()) {
    await each[Symbol.asyncDispose]();
  }
});

describe("listeners", () => {
  test("are told each, until they end that", async () => {
    const events = new EventListeners();
    const told: string[] = [];
    const end = events.on("draining", ({ endpoint }) => told.push(`one ${endpoint}`));
    events.on("draining", ({ endpoint }) => told.push(`other ${endpoint}`));
    events.of("draining")?.({ endpoint: "a" });
    expect(told).toEqual([]);
    await settled();
    end();
    end();
    events.of("draining")?.({ endpoint: "b" });
    await settled();
    expect(told).toEqual(["one a", "other a", "other b"]);
  });

  test("cost nothing where there are none", () => {
    const events = new EventListeners();
    const end = events.on("lost", () => undefined);
    expect(events.of("moved")).toBeUndefined();
    end();
    expect(events.of("lost")).toBeUndefined();
  });

  test("that end twice leave later ones alone", () => {
    const events = new EventListeners();
    const end = events.on("lost", () => undefined);
    end();
    events.on("lost", () => undefined);
    end();
    expect(events.of("lost")).toBeDefined();
  });

  test.each([
    ["losing", () => undefined, "event must be one of connected, disconnected, moved, draining, renewalFailed, lost"],
    ["toString", () => undefined, "event must be one of"],
    ["lost", "log", "listener must be a function, but is 'log'."],
  ])("are refused for %j with %p", (event, listener, message) => {
    const { meta } = scriptedClient();
    const on = (): unknown => meta.on(event as "lost", listener as () => void);
    expect(on).toThrow(InvalidArgumentError);
    expect(on).toThrow(message);
  });
});

describe("a client tells", () => {
  test("of a renewal that failed, of where it goes then, and of the loss", async () => {
    const { meta, clock, a, b } = scriptedClient();
    const told: unknown[] = [];
    for (const event of ["moved", "renewalFailed", "lost"] as const) {
      meta.on(event, (what) => told.push([event, what]));
    }
    const locking = meta.lock("x", { ttlMs: 9_000 });
    (await a.locks.next()).answer(granted());
    const lock = await locking;
    a.renewals.always((call) => {
      call.fail();
    });
    b.renewals.always((call) => {
      call.fail();
    });
    await clock.advance(3_400);
    expect(told).toEqual([
      ["moved", { from: "http://a:3002", to: "http://b:3002" }],
      ["moved", { from: "http://b:3002", to: "http://a:3002" }],
      [
        "renewalFailed",
        { names: ["x"], token: 42n, error: expect.any(UnavailableError), remainingMs: expect.any(Number) },
      ],
    ]);
    told.length = 0;
    await clock.advance(7_000);
    expect(told.at(-1)).toEqual(["lost", { names: ["x"], token: 42n, reason: lock.signal.reason as unknown }]);
    expect(lock.signal.reason).toBeInstanceOf(LockLostError);
  });

  test("of no loss when a lock is released", async () => {
    const { meta, clock, a } = scriptedClient();
    const told: unknown[] = [];
    meta.on("lost", (what) => told.push(what));
    const locking = meta.lock("x");
    (await a.locks.next()).answer(granted());
    const releasing = (await locking).release();
    (await a.unlocks.next()).answer(unlocked());
    await releasing;
    await clock.advance(60_000);
    expect(told).toEqual([]);
  });

  test("of its sessions, and of a server that is about to stop", async () => {
    const sessions = new ScriptedSessions();
    const server = await lockServer(sessions.service);
    const endpoint = `http://${server.authority}`;
    const meta = new MetaClient({ endpoints: [endpoint], discover: false });
    opened.push(server, meta);
    const told = new Inbox<unknown>();
    for (const event of ["connected", "disconnected", "draining"] as const) {
      meta.on(event, (what) => told.push([event, what]));
    }
    const locking = meta.lock("x");
    const session = await sessions.opened.next();
    session.send([(await session.nextOne("lock")).number, grantEvent()]);
    await locking;
    const why = "HTTP/2 goes all the way";
    expect(await told.next()).toEqual(["connected", { endpoint, carrier: "stream", httpVersion: "2", why }]);
    session.drain();
    expect(await told.next()).toEqual(["draining", { endpoint }]);
    server.reset();
    expect(await told.next()).toEqual(["disconnected", { endpoint, reason: expect.stringContaining("ECONNRESET") }]);
  });
});
