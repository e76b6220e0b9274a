import { describe, expect, test } from "@jest/globals";
import { settled } from "@metasrv/wire/testing";
import { adoptElsewhere, id } from "../../test-support/node-fixture.js";
import { ScriptedLog } from "../../test-support/scripted-log.js";
import {
  cancel,
  type Command,
  lock,
  renew,
  SessionClient,
  startSessionNode,
  unlock,
} from "../../test-support/session-client.js";
import { defaultLimits } from "../model/limits.js";
import { LockError } from "../model/lock-errors.js";

describe("the end", () => {
  test("a client that ends its requests keeps its waits for the grace, and its holds, and is answered what it asked", async () => {
    const node = await startSessionNode({ waiterGraceMs: 1_000 });
    const client = new SessionClient(node);
    await client.sent([1, lock("a")], [2, lock("b")]);
    client.send([3, lock("b")], [4, unlock(1)], [5, renew(2)]);
    client.session.end();
    expect(client.session.over).toBeUndefined();
    expect(await client.since(2)).toEqual(["4 unlocked", "5 renewed 10000"]);
    expect(client.session.over).toEqual({ error: undefined });
    await node.node.clock.advance(999);
    expect(node.node.store.state(Buffer.from("b"))).toMatchObject({ waiters: 1 });
    await node.node.clock.advance(1);
    expect(node.node.store.state(Buffer.from("b"))).toMatchObject({ waiters: 0 });
    expect(node.node.store.state(Buffer.from("b")).holderToken).toBeGreaterThan(0n);
  });

  test("a client that breaks off can resume its waits for the grace", async () => {
    const node = await startSessionNode({ waiterGraceMs: 1_000 });
    const [one, two, three] = [new SessionClient(node), new SessionClient(node), new SessionClient(node)];
    await one.sent([1, lock("a", { ttlMs: 60_000n })]);
    await two.sent([1, lock("a", { ticket: 2 })], [2, lock("a", { ticket: 3 })]);
    two.session.break(new LockError("canceled", "gone"));
    await node.node.clock.advance(999);
    expect(node.node.store.state(Buffer.from("a")).waiters).toBe(2);
    expect(await three.sent([1, lock("a", { ticket: 3 })])).toEqual([]);
    await node.node.clock.advance(1);
    expect(node.node.store.state(Buffer.from("a")).waiters).toBe(1);
    await one.sent([2, unlock(1)]);
    expect(await three.since(0)).toEqual(["1 granted"]);
    expect(two.news).toEqual([]);
  });

  test("a server that stops tells every command first, and then the session", async () => {
    const node = await startSessionNode();
    const client = new SessionClient(node);
    const waits = 50_000;
    await client.sent([1, lock("a")]);
    for (let first = 10; first < waits; first += 10_000) {
      client.send(...Array.from({ length: 10_000 }, (_, n): [number, Command] => [first + n, lock(`${n % 10}`)]));
    }
    await client.since(0);
    client.reads = false;
    await node.node.store.stop();
    client.session.break(new LockError("shutting-down", "stopping"));
    client.read();
    const { news } = client;
    expect(news).toContain("1 lost MOVED");
    expect(news.filter((one) => one.endsWith("SHUTTING_DOWN"))).toHaveLength(waits - 10);
    expect(client.session.over?.error).toMatchObject({ reason: "shutting-down" });
    expect(client.resets).toBe(0);
  });

  test("after the end nothing is served, told or left running", async () => {
    const node = await startSessionNode();
    const client = new SessionClient(node);
    const timers = node.node.clock.timers;
    await client.sent([1, lock("a")], [2, lock("a")]);
    client.session.end();
    client.session.break(new LockError("canceled", "gone"));
    await client.since(0);
    expect(client.session.over).toEqual({ error: undefined });
    expect(await client.sent([3, lock("c")])).toEqual([]);
    await node.node.clock.advance(60_000);
    expect(client.news).toEqual(["1 granted"]);
    expect(node.node.store.size).toBe(0);
    expect(node.node.clock.timers).toBe(timers - 1);
  });
});

describe("a client that moves to another server", () => {
  test("leaves its waits alone there, whether its move is known here yet or not", async () => {
    const log = new ScriptedLog();
    const node = await startSessionNode({}, log);
    const client = new SessionClient(node);
    await client.sent([1, lock("orders", { ticket: 1 })], [2, lock("orders", { ticket: 2 })]);
    await client.sent([3, lock("orders", { ticket: 3 })]);
    adoptElsewhere(log, 2, "n2");
    log.deliver();
    adoptElsewhere(log, 3, "n2");
    client.session.end();
    await settled();
    log.deliver();
    await settled();
    expect([...log.written.tickets()].map(({ id: ticket, memberId }) => [ticket, memberId])).toEqual([
      [id(1), "n1"],
      [id(2), "n2"],
      [id(3), "n2"],
    ]);
    expect(client.news).toEqual(["1 granted", "2 failed SUPERSEDED"]);
  });

  test("is told to, once, and served until it has", async () => {
    const node = await startSessionNode();
    const [client, other] = [new SessionClient(node), new SessionClient(node)];
    await client.sent([1, lock("a")]);
    const drained = node.dependencies.sessions.drain(node.node.clock, 1_000);
    expect(await client.sent([2, lock("a", { ticket: 2 })], [3, lock("b")])).toEqual(["3 granted"]);
    await node.node.clock.advance(500);
    expect([client.drains, other.drains]).toEqual([1, 1]);
    client.session.end();
    other.session.break(undefined);
    await drained;
    expect(node.dependencies.sessions.size).toBe(0);
  });

  test("keeps its waits for the grace when it ends its stream before it asks for them there", async () => {
    const node = await startSessionNode({ waiterGraceMs: 1_000 });
    const [holder, client] = [new SessionClient(node), new SessionClient(node)];
    await holder.sent([1, lock("a", { ttlMs: 60_000n })]);
    await client.sent([1, lock("a", { ticket: 1 })], [2, lock("a", { ticket: 2 })]);
    void node.dependencies.sessions.drain(node.node.clock, 60_000);
    await client.sent([3, cancel(2)]);
    client.session.end();
    await node.node.clock.advance(999);
    expect(node.node.store.state(Buffer.from("a")).waiters).toBe(1);
    await node.node.clock.advance(1);
    expect(node.node.store.state(Buffer.from("a")).waiters).toBe(0);
  });

  test("finds no session at a server that is about to stop", async () => {
    const node = await startSessionNode();
    void node.dependencies.sessions.drain(node.node.clock, 1_000);
    const client = new SessionClient(node);
    expect(await client.sent([1, lock("a")])).toEqual([]);
    expect(client.session.over?.error).toMatchObject({ reason: "shutting-down" });
    expect([client.messages, node.dependencies.sessions.size, node.node.clock.timers]).toEqual([[], 0, 0]);
  });
});

describe("signs of life", () => {
  const life = { heartbeatMs: 1_000, sessionTimeoutMs: 3_000 };

  test("the server gives one in every heartbeat", async () => {
    const node = await startSessionNode(life);
    const client = new SessionClient(node);
    client.read();
    await node.node.clock.advance(3_000);
    expect(client.messages).toEqual([0, 0, 0, 0]);
  });

  test("a client that gives none is given up", async () => {
    const node = await startSessionNode(life);
    const client = new SessionClient(node);
    await client.sent([1, lock("a", { ttlMs: 60_000n })], [2, lock("a")]);
    await node.node.clock.advance(3_999);
    expect(client.session.over).toBeUndefined();
    await node.node.clock.advance(1);
    expect(client.session.over?.error).toMatchObject({ reason: "canceled", message: /no sign of life for 3000 ms/ });
    expect(client.resets).toBe(1);
    expect(node.node.store.state(Buffer.from("a")).waiters).toBe(1);
    await node.node.clock.advance(defaultLimits.waiterGraceMs);
    expect(node.node.store.state(Buffer.from("a")).waiters).toBe(0);
  });

  test("a message without commands is one", async () => {
    const node = await startSessionNode(life);
    const client = new SessionClient(node);
    for (let beat = 0; beat < 10; beat++) {
      await node.node.clock.advance(3_000);
      client.send();
    }
    expect(client.session.over).toBeUndefined();
  });
});

describe("a client that does not read", () => {
  const life = { heartbeatMs: 1_000, sessionTimeoutMs: 3_000 };

  /** Sends commands that fail at once, as long as the server reads them. */
  function flood(client: SessionClient, most: number): number {
    let sent = 0;
    for (; sent < most && !client.paused; sent += 1_000) {
      client.send(...Array.from({ length: 1_000 }, (_, n): [number, Command] => [n + 1, lock("")]));
    }
    return sent;
  }

  test("is not listened to either, until it has read", async () => {
    const client = new SessionClient(await startSessionNode(life));
    client.reads = false;
    expect(flood(client, 1_000_000)).toBeLessThan(20_000);
    client.read();
    expect(client.paused).toBe(false);
    expect(client.session.over).toBeUndefined();
    await client.since(0);
  });

  test("is given up after the time-out", async () => {
    const node = await startSessionNode(life);
    const client = new SessionClient(node);
    client.reads = false;
    flood(client, 1_000_000);
    await node.node.clock.advance(3_999);
    expect(client.session.over).toBeUndefined();
    await node.node.clock.advance(1);
    expect(client.session.over?.error).toMatchObject({ reason: "not-reading" });
    expect(client.resets).toBe(1);
  });

  test("but only slowly is served on", async () => {
    const node = await startSessionNode(life);
    const client = new SessionClient(node);
    client.reads = false;
    for (let beat = 0; beat < 10; beat++) {
      flood(client, 5_000);
      await node.node.clock.advance(3_000);
      client.session.next();
    }
    expect(client.session.over).toBeUndefined();
  });
});
