import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "@jest/globals";
import { LossReason, SessionResponseSchema, type SessionTermsSchema } from "@metasrv/proto/metasrv/v1";
import { gatherByEventLoop as gather } from "@metasrv/wire";
import { ManualClock, settled } from "@metasrv/wire/testing";
import { Cancellation } from "./cancellation.js";
import type { LockNews } from "./grant.js";
import { EndpointFailure } from "./lock-channel.js";
import { SessionStream } from "./session-stream.js";
import type { SessionWire, SessionWireListener } from "./session-wire.js";
import { routerWires } from "./testing/router-wire.js";
import { grantEvent, lockRequest, type ScriptedSession, ScriptedSessions } from "./testing/scripted-session.js";

const noEnd = new Cancellation();
const failureOf = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error);

/** An open stream whose server the test plays. */
async function openStream(terms: MessageInitShape<typeof SessionTermsSchema> = {}): Promise<{
  stream: SessionStream;
  server: ScriptedSession;
  clock: ManualClock;
  held: boolean[];
  drained: boolean[];
}> {
  const clock = new ManualClock();
  const sessions = new ScriptedSessions(terms);
  const openWire = routerWires(sessions.service);
  const held: boolean[] = [];
  const drained: boolean[] = [];
  const holdProcess = (hold: boolean): unknown => held.push(hold);
  const disconnect = (): void => undefined;
  const onDraining = (): unknown => drained.push(stream.draining);
  const stream = new SessionStream({
    endpoint: "http://a",
    openWire,
    clock,
    gather,
    holdProcess,
    disconnect,
    onDraining,
  });
  await stream.open();
  return { stream, clock, held, drained, server: await sessions.opened.next() };
}

describe("messages that come together", () => {
  /** A stream that has asked for 128 locks, and is told of 64 by each of two messages. It is in the hands of the test when a turn ends. */
  async function openCrowded(): Promise<{
    granted: Promise<unknown>[];
    written: number[];
    listener: SessionWireListener;
    endTurn: () => void;
    stream: SessionStream;
  }> {
    const turns: (() => void)[] = [];
    const written: number[] = [];
    let listener: SessionWireListener | undefined;
    const stream = new SessionStream({
      endpoint: "http://a",
      openWire: (given) => {
        listener = given;
        return Promise.resolve({
          writable: true,
          write: (message) => written.push(message.length),
          end: () => undefined,
          cancel: () => undefined,
        });
      },
      clock: new ManualClock(),
      gather: (done, urgent) => {
        if (urgent) {
          queueMicrotask(done);
        } else {
          turns.push(done);
        }
      },
      holdProcess: () => undefined,
      disconnect: () => undefined,
      onDraining: () => undefined,
    });
    const endTurn = (): void => {
      for (const done of turns.splice(0)) {
        done();
      }
    };
    const opening = stream.open();
    await settled();
    if (listener === undefined) {
      throw new Error("no wire was opened");
    }
    listener.message(create(SessionResponseSchema, { terms: { heartbeatMs: 1_000n, timeoutMs: 6_000n } }));
    await opening;
    const granted = Array.from({ length: 128 }, async (_, index) => {
      const outcome = await stream.lock(lockRequest(`orders/${index}`), noEnd);
      return outcome.kind === "granted" && stream.unlock(outcome.grant.holding, noEnd).catch(() => undefined);
    });
    endTurn();
    written.length = 0;
    for (const first of [1, 65]) {
      const events = Array.from({ length: 64 }, (_, index) => ({ number: first + index, event: grantEvent() }));
      listener.message(create(SessionResponseSchema, { events }));
    }
    return { granted, written, listener, endTurn, stream };
  }

  test("have turns of their own if they tell much, and what one led to leaves before the next", async () => {
    const { written, endTurn, stream } = await openCrowded();
    await settled();
    expect(written).toHaveLength(1);
    endTurn();
    await settled();
    expect(written).toHaveLength(2);
    stream.close();
  });

  test("are all handled before the stream is over", async () => {
    const { granted, listener } = await openCrowded();
    listener.closed(undefined);
    await expect(Promise.all(granted)).resolves.toHaveLength(128);
  });
});

describe("an open session stream", () => {
  test("carries what was asked for within one turn in one message", async () => {
    const { stream, server } = await openStream();
    const locked = ["one", "other"].map((name) => stream.lock(lockRequest(name), noEnd));
    await Promise.resolve();
    locked.push(stream.lock(lockRequest("third"), noEnd));
    const commands = await server.next();
    expect(commands.map(({ number }) => number)).toEqual([1, 2, 3]);
    server.send([1, grantEvent()], [2, grantEvent()], [3, grantEvent()]);
    await Promise.all(locked);
    stream.close();
  });

  test("sends an unlock before the turn is over, and with it what is there", async () => {
    const { stream, server } = await openStream();
    const locked = stream.lock(lockRequest("x"), noEnd);
    await server.next();
    server.send([1, grantEvent()]);
    const outcome = await locked;
    if (outcome.kind !== "granted") {
      throw new Error("not granted");
    }
    let turnOver = false;
    setImmediate(() => (turnOver = true));
    const others = failureOf(stream.lock(lockRequest("y"), noEnd));
    const unlocked = failureOf(stream.unlock(outcome.grant.holding, noEnd));
    const commands = await server.next();
    expect(commands.map(({ command }) => command.case)).toEqual(["lock", "unlock"]);
    expect(turnOver).toBe(false);
    stream.close();
    await Promise.all([others, unlocked]);
  });

  test("counts from when the message left", async () => {
    const { stream, server, clock } = await openStream();
    const locked = stream.lock(lockRequest("x"), noEnd);
    const leftMs = clock.now();
    await server.next();
    await clock.advance(700);
    server.send([1, grantEvent({ waitedMs: 30 })]);
    await expect(locked).resolves.toMatchObject({ grant: { grantedAtMs: leftMs + 30 - 0.03 } });
    stream.close();
  });

  test("carries very much in several messages", async () => {
    const { stream, server } = await openStream();
    const count = 5_000;
    const locked = Array.from({ length: count }, (_, index) => stream.lock(lockRequest(`orders/${index}`), noEnd));
    let received = 0;
    let messages = 0;
    while (received < count) {
      const commands = await server.next();
      server.send(...commands.map(({ number }): [number, ReturnType<typeof grantEvent>] => [number, grantEvent()]));
      received += commands.length;
      messages++;
    }
    await Promise.all(locked);
    expect(messages).toBeGreaterThan(1);
    expect(messages).toBeLessThan(10);
    stream.close();
  });

  test("takes back what is not wanted any more, and gives back a grant that crosses that", async () => {
    const { stream, server } = await openStream();
    const scope = new Cancellation();
    const error = failureOf(stream.lock(lockRequest("x"), scope));
    const { number } = await server.nextOne("lock");
    scope.cancel(new Error("enough"));
    expect(await error).toEqual(new Error("enough"));
    expect((await server.nextOne("cancel")).value).toBe(number);
    server.send([number, grantEvent({ key: Uint8Array.of(9) })]);
    expect((await server.nextOne("unlock")).value).toMatchObject({ lock: 0, key: Uint8Array.of(9) });
    stream.close();
  });

  test("holds the process only while somebody waits", async () => {
    const { stream, server, held } = await openStream();
    expect(held).toEqual([]);
    const locked = stream.lock(lockRequest("x"), noEnd);
    expect(held).toEqual([true]);
    await server.next();
    server.send([1, grantEvent()]);
    await locked;
    expect(held).toEqual([true, false]);
    stream.close();
  });

  test("gives a sign of life in every heartbeat", async () => {
    const { stream, server, clock } = await openStream({ heartbeatMs: 2_000n, timeoutMs: 6_000n });
    for (let beat = 1; beat <= 5; beat++) {
      await clock.advance(2_000);
      server.send();
      await settled();
    }
    expect(server.heartbeats).toBe(5);
    expect(stream.broken).toBe(false);
    stream.close();
    expect(clock.timers).toBe(0);
  });
});

describe("a session stream breaks", () => {
  test("when the server gives no sign of life", async () => {
    const { stream, server, clock } = await openStream({ heartbeatMs: 2_000n, timeoutMs: 6_000n });
    const error = failureOf(stream.lock(lockRequest("x"), noEnd));
    await server.next();
    await clock.advance(5_999);
    expect(stream.broken).toBe(false);
    await clock.advance(1);
    expect(stream.broken).toBe(true);
    expect(await error).toBeInstanceOf(EndpointFailure);
    expect(await error).toMatchObject({ message: "the server gave no sign of life for 6000 ms", maybeApplied: true });
    expect(await server.ended).toBe(false);
    expect(clock.timers).toBe(0);
  });

  test.each([
    [undefined, "the server ended the session"],
    [new ConnectError("this server is stopping", Code.Unavailable), "this server is stopping"],
    [new ConnectError("too much is unread", Code.ResourceExhausted), "too much is unread"],
  ])("when the server ends it: %p", async (ending, message) => {
    const { stream, server } = await openStream();
    const error = failureOf(stream.lock(lockRequest("x"), noEnd));
    await server.next();
    server.end(ending);
    expect(await error).toBeInstanceOf(EndpointFailure);
    expect(await error).toMatchObject({ message });
    expect(await failureOf(stream.lock(lockRequest("x"), noEnd))).toBeInstanceOf(EndpointFailure);
  });

  test("when it cannot be opened", async () => {
    const stream = new SessionStream({
      endpoint: "http://a",
      openWire: routerWires({}),
      clock: new ManualClock(),
      gather,
      holdProcess: () => undefined,
      disconnect: () => undefined,
      onDraining: () => undefined,
    });
    await expect(stream.open()).rejects.toMatchObject({ code: Code.Unimplemented });
    expect(stream.broken).toBe(true);
  });

  test("when it is closed while it is being opened, and what is opened later is not used", async () => {
    let onOpened: (wire: SessionWire) => void = () => undefined;
    let cancelled = 0;
    const stream = new SessionStream({
      endpoint: "http://a",
      openWire: () => new Promise((resolve) => (onOpened = resolve)),
      clock: new ManualClock(),
      gather,
      holdProcess: () => undefined,
      disconnect: () => undefined,
      onDraining: () => undefined,
    });
    const opening = stream.open();
    stream.close("enough");
    await expect(opening).rejects.toMatchObject({ rawMessage: "enough" });
    onOpened({ writable: true, write: () => undefined, end: () => undefined, cancel: () => cancelled++ });
    await settled();
    expect(cancelled).toBe(1);
  });

  test("when it is closed, and the server learns that it is not to wait for a client that comes back", async () => {
    const { stream, server } = await openStream();
    const error = failureOf(stream.lock(lockRequest("x"), noEnd));
    await server.next();
    const ended = stream.end();
    expect(await error).toBeInstanceOf(EndpointFailure);
    await ended;
    expect(await server.ended).toBe(true);
    expect(stream.broken).toBe(true);
  });

  test("when it is ended, but not before what was to be sent has left", async () => {
    const { stream, server } = await openStream();
    const scope = new Cancellation();
    void failureOf(stream.lock(lockRequest("x"), scope));
    await server.next();
    scope.cancel(new Error("enough"));
    await stream.end();
    await server.nextOne("cancel");
    expect(await server.ended).toBe(true);
  });
});

describe("a session stream that is left", () => {
  test("tells once that its server is about to stop", async () => {
    const { stream, server, drained } = await openStream();
    expect(stream.draining).toBe(false);
    server.drain();
    await settled();
    expect(drained).toEqual([true]);
    stream.close();
  });

  test("is ended well once nothing is unanswered, when its server is about to stop", async () => {
    const { stream, server } = await openStream();
    const tried = stream.lock({ ...lockRequest("x"), waitMs: 0n }, noEnd);
    const waiting = failureOf(stream.lock(lockRequest("y"), noEnd));
    const [first, second] = await server.next();
    const left = stream.leave(5_000);
    expect(await waiting).toMatchObject({ message: "the server is about to stop", maybeApplied: true });
    const late = stream.lock({ ...lockRequest("z"), waitMs: 0n }, noEnd);
    const { number } = await server.nextOne("lock");
    server.send([first?.number ?? 0, grantEvent()], [second?.number ?? 0, grantEvent()]);
    await tried;
    expect(stream.broken).toBe(false);
    server.send([number, { case: "refused", value: {} }]);
    await late;
    await left;
    expect(await server.ended).toBe(true);
    expect(server.messages.all).toHaveLength(2);
  });

  test("is broken off, so that the server keeps the waits, when that takes too long", async () => {
    const { stream, server, clock } = await openStream();
    const error = failureOf(stream.lock({ ...lockRequest("x"), waitMs: 0n }, noEnd));
    await server.next();
    const left = stream.leave(5_000);
    await clock.advance(5_000);
    await left;
    expect(await error).toMatchObject({ message: "the server is about to stop", maybeApplied: true });
    expect(await server.ended).toBe(false);
    expect(clock.timers).toBe(0);
  });

  test("is kept for what waits or is held on it, when its server stays", async () => {
    const { stream, server } = await openStream();
    const locked = stream.lock(lockRequest("x"), noEnd);
    const { number } = await server.nextOne("lock");
    const left = stream.leave();
    server.send([number, grantEvent()]);
    const outcome = await locked;
    expect(outcome).toMatchObject({ kind: "granted" });
    expect(stream.broken).toBe(false);
    const news: LockNews[] = [];
    if (outcome.kind === "granted") {
      outcome.grant.holding.listen({ hear: (each) => news.push(each) });
    }
    server.send([number, { case: "lost", value: LossReason.RELEASED }]);
    await left;
    expect(await server.ended).toBe(true);
    expect(news).toEqual(["released"]);
  });

  test("says nothing of a lock that another server has then", async () => {
    const { stream, server } = await openStream();
    const locked = stream.lock(lockRequest("x"), noEnd);
    const { number } = await server.nextOne("lock");
    server.send([number, grantEvent()]);
    const outcome = await locked;
    const news: LockNews[] = [];
    if (outcome.kind === "granted") {
      outcome.grant.holding.listen({ hear: (each) => news.push(each) });
    }
    const left = stream.leave();
    server.send([number, { case: "lost", value: LossReason.MOVED }]);
    await left;
    expect(news).toEqual([]);
  });
});
