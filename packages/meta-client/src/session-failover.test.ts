import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, test } from "@jest/globals";
import { LossReason } from "@metasrv/proto/metasrv/v1";
import type { MetaClientOptions } from "./client-options.js";
import { MetaClient } from "./meta-client.js";
import { LockLostError } from "./meta-errors.js";
import { lockServer, type TestServer } from "./testing/http2-server.js";
import { grantEvent, type ScriptedSession, ScriptedSessions } from "./testing/scripted-session.js";

const opened: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of opened.splice(0).reverse()) {
    await each[Symbol.asyncDispose]();
  }
});

/** A client of two servers that the test plays. `a` is used first. */
async function twoServers(options: Partial<MetaClientOptions> = {}): Promise<{
  meta: MetaClient;
  a: ScriptedSessions;
  b: ScriptedSessions;
  serverA: TestServer;
}> {
  const [a, b] = [new ScriptedSessions(), new ScriptedSessions()];
  const [serverA, serverB] = [await lockServer(a.service), await lockServer(b.service)];
  const endpoints = [serverA, serverB].map(({ authority }) => `http://${authority}`);
  const meta = new MetaClient({ endpoints, firstEndpoint: "listed", ...options });
  opened.push(serverA, serverB, meta);
  return { meta, a, b, serverA };
}

/** Grants the one lock that is asked for. */
async function grant(session: ScriptedSession, key: Uint8Array): Promise<number> {
  const { number } = await session.nextOne("lock");
  session.send([number, grantEvent({ key, ttlMs: 60_000n })]);
  answerUnlocks(session);
  return number;
}

function answerUnlocks(session: ScriptedSession): void {
  session.messages.always((commands) => {
    for (const { number, command } of commands) {
      if (command.case === "unlock") {
        session.send([number, { case: "unlocked", value: {} }]);
      }
    }
  });
}

describe("a client whose session breaks", () => {
  test("repeats its waits as the same tickets at the next endpoint", async () => {
    const { meta, a, b, serverA } = await twoServers();
    const locked = meta.lock("x");
    const first = await a.opened.next();
    const { value } = await first.nextOne("lock");
    serverA.reset();
    const second = await b.opened.next();
    const repeated = await second.nextOne("lock");
    expect(repeated.value.ticketId).toEqual(value.ticketId);
    second.send([repeated.number, grantEvent({ token: 77n })]);
    answerUnlocks(second);
    await expect(locked).resolves.toMatchObject({ token: 77n });
  });

  test("renews the locks that it keeps alive, at once and by their keys, and no others", async () => {
    const { meta, a, b, serverA } = await twoServers();
    const kept = meta.lock("kept", { keepAlive: true });
    const first = await a.opened.next();
    await grant(first, Uint8Array.of(1));
    const lock = await kept;
    const other = meta.lock("other", { keepAlive: false });
    const { number } = await first.nextOne("lock");
    first.send([number, grantEvent({ key: Uint8Array.of(2), ttlMs: 60_000n })]);
    await other;
    serverA.reset();
    // The client may by chance find the first server well again.
    const second = await Promise.race([a.opened.next(), b.opened.next()]);
    answerUnlocks(second);
    const renewal = await second.nextOne("renew");
    expect(renewal.value).toMatchObject({ lock: 0, key: Uint8Array.of(1), ttlMs: 60_000n });
    second.send([renewal.number, { case: "renewed", value: { ttlMs: 60_000n } }]);
    // From then on, the second server tells news of the lock.
    second.send([renewal.number, { case: "lost", value: LossReason.EXPIRED }]);
    await once(lock.signal, "abort");
    expect(second.messages.all.flat()).toHaveLength(1);
  });
});

describe("a lock that a server tells of", () => {
  test.each([
    [LossReason.EXPIRED, 'The lock "x" (token 42) has reached the end of its TTL at the server. Stop what it guards.'],
    [LossReason.RELEASED, 'The lock "x" (token 42) was released by somebody else. Stop what it guards.'],
  ])("aborts its signal at once when it is lost: reason %i", async (reason, message) => {
    const { meta, a } = await twoServers();
    const locked = meta.lock("x");
    const session = await a.opened.next();
    const number = await grant(session, Uint8Array.of(1));
    const lock = await locked;
    session.send([number, { case: "lost", value: reason }]);
    await once(lock.signal, "abort");
    expect(lock.signal.reason).toBeInstanceOf(LockLostError);
    expect(lock.signal.reason).toMatchObject({ message });
    await lock.release();
    expect(session.messages.all.flat()).toHaveLength(1);
  });

  test("is lost already when the news come in one message with the grant", async () => {
    const { meta, a } = await twoServers();
    const locked = meta.lock("x", { keepAlive: true });
    const session = await a.opened.next();
    const { number } = await session.nextOne("lock");
    session.send([number, grantEvent()], [number, { case: "lost", value: LossReason.RELEASED }]);
    const lock = await locked;
    expect(lock.signal.aborted).toBe(true);
    await expect(lock.renew()).resolves.toBe("lost");
  });

  test("is renewed at once, by its key, when the server does not serve it any more", async () => {
    const { meta, a } = await twoServers();
    const locked = meta.lock("x", { keepAlive: true });
    const session = await a.opened.next();
    const number = await grant(session, Uint8Array.of(1));
    const lock = await locked;
    session.send([number, { case: "lost", value: LossReason.MOVED }]);
    const renewal = await session.nextOne("renew");
    expect(renewal.value).toMatchObject({ lock: 0, key: Uint8Array.of(1) });
    const before = lock.expiresAtMs;
    session.send([renewal.number, { case: "renewed", value: { ttlMs: 60_000n } }]);
    while (lock.expiresAtMs === before) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const released = lock.release();
    expect((await session.nextOne("unlock")).value).toMatchObject({ lock: renewal.number });
    await released;
  });
});

describe("close", () => {
  test("gives back what is held, takes back what is asked for, and ends the session", async () => {
    const { meta, a } = await twoServers();
    const locked = meta.lock("held");
    const session = await a.opened.next();
    const held = await grant(session, Uint8Array.of(1));
    await locked;
    const waiting = meta.lock("waiting").catch((error: unknown) => error);
    const { number } = await session.nextOne("lock");
    await meta.close();
    expect(await waiting).toMatchObject({ code: "CLOSED" });
    expect(await session.ended).toBe(true);
    const last = session.messages.all.slice(2).flat();
    expect(last.map(({ command }) => command)).toMatchObject([
      { case: "cancel", value: number },
      { case: "unlock", value: { lock: held } },
    ]);
  });
});

describe("a process with a session", () => {
  // The package as users import it, so this test needs it to be built.
  const program = (endpoint: string): string => `
    import { MetaClient } from ${JSON.stringify(new URL("../dist/index.js", import.meta.url).href)};
    const meta = new MetaClient({ endpoints: [${JSON.stringify(endpoint)}] });
    const lock = await meta.lock("x", { keepAlive: true });
    console.log("held " + String(lock.token));
  `;

  test("stays alive while a call is pending, and ends with an idle session and a lock that is kept alive", async () => {
    const sessions = new ScriptedSessions();
    await using server = await lockServer(sessions.service);
    const args = ["--input-type=module", "--eval", program(`http://${server.authority}`)];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const exited = once(child, "exit");
    const session = await Promise.race([
      sessions.opened.next(),
      exited.then(() => Promise.reject(new Error("it ended without a session; is the package built?"))),
    ]);
    const { number } = await session.nextOne("lock");
    const pause = new Promise((resolve) => setTimeout(resolve, 300));
    await Promise.race([pause, exited]);
    expect(child.exitCode).toBeNull();
    session.send([number, grantEvent()]);
    expect(await text(child.stdout)).toBe("held 42\n");
    expect(await exited).toEqual([0, null]);
  });
});
