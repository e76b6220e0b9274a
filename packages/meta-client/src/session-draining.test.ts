import { once } from "node:events";
import { Code } from "@connectrpc/connect";
import { afterEach, describe, expect, test } from "@jest/globals";
import { LossReason, Reason } from "@metasrv/proto/metasrv/v1";
import { MetaClient } from "./meta-client.js";
import { lockServer } from "./testing/http2-server.js";
import { grantEvent, type ScriptedSession, ScriptedSessions } from "./testing/scripted-session.js";

const opened: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of opened.splice(0).reverse()) {
    await each[Symbol.asyncDispose]();
  }
});

/** A client of this many servers that the test plays. The client uses them in that order. */
async function clientOf(count: number): Promise<{ meta: MetaClient; servers: ScriptedSessions[] }> {
  const servers = Array.from({ length: count }, () => new ScriptedSessions());
  const endpoints: string[] = [];
  for (const { service } of servers) {
    const server = await lockServer(service);
    opened.push(server);
    endpoints.push(`http://${server.authority}`);
  }
  const meta = new MetaClient({ endpoints, firstEndpoint: "listed" });
  opened.push(meta);
  return { meta, servers };
}

async function twoServers(): Promise<{ meta: MetaClient; a: ScriptedSessions; b: ScriptedSessions }> {
  const { meta, servers } = await clientOf(2);
  const [a, b] = servers as [ScriptedSessions, ScriptedSessions];
  return { meta, a, b };
}

const superseded = {
  case: "failed" as const,
  value: { code: Code.Aborted, message: "asked again elsewhere", detail: { reason: Reason.SUPERSEDED } },
};

function answerUnlocks(session: ScriptedSession): void {
  session.messages.always((commands) => {
    for (const { number, command } of commands) {
      if (command.case === "unlock") {
        session.send([number, { case: "unlocked", value: {} }]);
      }
    }
  });
}

describe("a server that is about to stop", () => {
  test("is left for new requests, and its session is ended well", async () => {
    const { meta, a, b } = await twoServers();
    const first = meta.lock("x", { keepAlive: false });
    const old = await a.opened.next();
    const { number } = await old.nextOne("lock");
    old.send([number, grantEvent()]);
    const lock = await first;
    old.drain();
    expect(await old.ended).toBe(true);
    const second = meta.tryLock("y", { keepAlive: false });
    const session = await b.opened.next();
    const asked = await session.nextOne("lock");
    session.send([asked.number, grantEvent({ key: Uint8Array.of(2) })]);
    await second;
    answerUnlocks(session);
    expect(lock.signal.aborted).toBe(false);
    await lock.release();
    // The lock was granted by another server, so the command names it by its key.
    expect(session.messages.all.at(-1)?.[0]?.command.value).toMatchObject({ lock: 0, key: Uint8Array.of(7) });
    expect(a.opened.all).toHaveLength(1);
  });

  test("waits go to another, as the same tickets, before they are over here", async () => {
    const { meta, a, b } = await twoServers();
    const locked = meta.lock("x");
    const old = await a.opened.next();
    const first = await old.nextOne("lock");
    old.drain();
    const session = await b.opened.next();
    const second = await session.nextOne("lock");
    expect(second.value.ticketId).toEqual(first.value.ticketId);
    expect([first.value.attempt, second.value.attempt]).toEqual([0, 1]);
    // Until then, the wait can be cancelled at this server, too.
    expect(await Promise.race([old.ended, Promise.resolve("open")])).toBe("open");
    old.send([first.number, superseded]);
    expect(await old.ended).toBe(true);
    expect(old.messages.all).toHaveLength(1);
    session.send([second.number, grantEvent({ token: 77n })]);
    answerUnlocks(session);
    await expect(locked).resolves.toMatchObject({ token: 77n });
  });

  test("a grant that crosses the move is neither taken nor given back: the other server tells it again", async () => {
    const { meta, a, b } = await twoServers();
    const locked = meta.lock("x");
    const old = await a.opened.next();
    const first = await old.nextOne("lock");
    old.drain();
    old.send([first.number, grantEvent()]);
    expect(await old.ended).toBe(true);
    expect(old.messages.all).toHaveLength(1);
    const session = await b.opened.next();
    session.send([(await session.nextOne("lock")).number, grantEvent()]);
    answerUnlocks(session);
    await expect(locked).resolves.toMatchObject({ token: 42n });
  });

  test("a wait that ends on the move is taken back at both", async () => {
    const { meta, a, b } = await twoServers();
    const controller = new AbortController();
    const locked = meta.lock("x", { signal: controller.signal }).catch((error: unknown) => error);
    const old = await a.opened.next();
    const first = await old.nextOne("lock");
    old.drain();
    const session = await b.opened.next();
    const second = await session.nextOne("lock");
    controller.abort(new Error("enough"));
    expect(await locked).toEqual(new Error("enough"));
    expect((await old.nextOne("cancel")).value).toBe(first.number);
    expect((await session.nextOne("cancel")).value).toBe(second.number);
    expect(await old.ended).toBe(true);
  });

  test("answers what is asked already, a lock that comes so is renewed at the other at once", async () => {
    const { meta, a, b } = await twoServers();
    const tried = meta.tryLock("x", { keepAlive: true });
    const old = await a.opened.next();
    const { number } = await old.nextOne("lock");
    old.drain();
    old.send([number, grantEvent()]);
    const lock = await tried;
    const session = await b.opened.next();
    const renewal = await session.nextOne("renew");
    expect(renewal.value).toMatchObject({ lock: 0, key: Uint8Array.of(7) });
    session.send([renewal.number, { case: "renewed", value: { ttlMs: 10_000n } }]);
    answerUnlocks(session);
    expect(await old.ended).toBe(true);
    expect(lock?.signal.aborted).toBe(false);
  });

  test("locks that are kept alive are renewed at the other once, and it tells of their loss", async () => {
    const { meta, a, b } = await twoServers();
    const locked = meta.lock("x", { keepAlive: true });
    const old = await a.opened.next();
    const { number } = await old.nextOne("lock");
    old.send([number, grantEvent()]);
    const lock = await locked;
    const pending = meta.tryLock("y");
    const tried = await old.nextOne("lock");
    old.drain();
    const session = await b.opened.next();
    const renewal = await session.nextOne("renew");
    // The news that the lock has moved comes before the answer.
    old.send([number, { case: "lost", value: LossReason.MOVED }], [tried.number, { case: "refused", value: {} }]);
    expect(await pending).toBeNull();
    session.send([renewal.number, { case: "renewed", value: { ttlMs: 10_000n } }]);
    expect(await old.ended).toBe(true);
    session.send([renewal.number, { case: "lost", value: LossReason.RELEASED }]);
    await once(lock.signal, "abort");
    expect(session.messages.all.flat()).toHaveLength(1);
  });

  test("serves to its end when there is no other", async () => {
    const { meta, servers } = await clientOf(1);
    const locked = meta.lock("x");
    const session = await servers[0]?.opened.next();
    if (session === undefined) {
      throw new Error("expected a session");
    }
    const { number } = await session.nextOne("lock");
    session.drain();
    session.send([number, grantEvent()]);
    const lock = await locked;
    answerUnlocks(session);
    await lock.release();
    expect(await Promise.race([session.ended, Promise.resolve("open")])).toBe("open");
  });

  test("which says so at the opening is not used", async () => {
    const { meta, a, b } = await twoServers();
    a.draining = true;
    const locked = meta.lock("x");
    const session = await b.opened.next();
    session.send([(await session.nextOne("lock")).number, grantEvent()]);
    answerUnlocks(session);
    await locked;
    expect(await (await a.opened.next()).ended).toBe(true);
    expect(a.opened.all.flatMap(({ messages }) => messages.all)).toEqual([]);
  });
});
