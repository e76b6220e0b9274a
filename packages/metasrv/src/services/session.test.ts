import { describe, expect, test } from "@jest/globals";
import { LockMode, LossReason, Reason, type SessionCommand, type SessionEvent } from "@metasrv/proto/metasrv/v1";
import { Code } from "@connectrpc/connect";
import { settled } from "../../test-support/manual-clock.js";
import { adoptElsewhere, id, idBytes, NodeFixture } from "../../test-support/node-fixture.js";
import { ScriptedTicketLog } from "../../test-support/scripted-ticket-log.js";
import { dependenciesAround } from "../../test-support/served.js";
import { defaultLimits, type Limits } from "../locks/limits.js";
import { LockError } from "../locks/lock-errors.js";
import { createMemoryTicketLog } from "../log/memory-ticket-log.js";
import type { TicketLog } from "../log/ticket-log.js";
import { Session } from "./session.js";

type Command = SessionCommand["command"];

/** One node, over a log in memory unless said otherwise; its time is the test's. */
async function startNode(change: Partial<Limits> = {}, log: TicketLog = createMemoryTicketLog()) {
  const limits = { ...defaultLimits, ...change };
  const node = await new NodeFixture(log, limits).start();
  return { node, dependencies: dependenciesAround(node.store, { limits, clock: node.clock }) };
}

type Node = Awaited<ReturnType<typeof startNode>>;

/** A session and what becomes of it. Its client reads whatever comes, unless it is told not to. */
class Client {
  readonly session: Session;
  readonly events: SessionEvent[] = [];
  readonly messages: number[] = [];
  /** In how many messages it was told that the server is about to stop. */
  drains = 0;
  reads = true;
  paused = false;
  resets = 0;

  constructor({ dependencies }: Node) {
    this.session = new Session(dependencies, {
      wake: () => {
        if (this.reads) {
          this.read();
        }
      },
      read: (on) => {
        this.paused = !on;
      },
      reset: () => {
        this.resets++;
      },
    });
  }

  /** Takes what there is. */
  read(): void {
    for (let next = this.session.next(); next !== undefined; next = this.session.next()) {
      this.messages.push(next.events.length);
      this.drains += next.draining ? 1 : 0;
      this.events.push(...next.events);
    }
  }

  send(...commands: [number, Command][]): void {
    this.session.receive({
      $typeName: "metasrv.v1.SessionRequest",
      commands: commands.map(([number, command]) => ({ $typeName: "metasrv.v1.SessionCommand", number, command })),
    });
  }

  /** Sends commands in one message, and answers what they bring about by themselves. */
  async sent(...commands: [number, Command][]): Promise<string[]> {
    const before = this.events.length;
    this.send(...commands);
    return await this.since(before);
  }

  /** The news since so many events, after everything has happened that happens by itself. */
  async since(before: number): Promise<string[]> {
    await settled();
    await settled();
    return this.events.slice(before).map(described);
  }

  get news(): string[] {
    return this.events.map(described);
  }

  /** The key of the lock that was granted to a command. */
  key(number: number): Uint8Array {
    for (const { number: of, event } of this.events) {
      if (of === number && event.case === "granted") {
        return event.value.key;
      }
    }
    throw new Error(`nothing was granted to ${number}`);
  }
}

function described({ number, event }: SessionEvent): string {
  switch (event.case) {
    case "failed":
      return `${number} failed ${Reason[event.value.detail?.reason ?? Reason.UNSPECIFIED]}`;
    case "lost":
      return `${number} lost ${LossReason[event.value]}`;
    case "renewed":
      return `${number} renewed ${event.value.ttlMs.toString()}`;
    default:
      return `${number} ${event.case ?? "nothing"}`;
  }
}

function lock(name: string, change: { ticket?: number; ttlMs?: bigint; waitMs?: bigint } = {}): Command {
  const { ticket = Math.floor(Math.random() * 2 ** 32), ttlMs = 0n, waitMs } = change;
  return {
    case: "lock",
    value: {
      $typeName: "metasrv.v1.LockRequest",
      lock: { case: "name", value: name },
      ticketId: idBytes(ticket),
      mode: LockMode.UNSPECIFIED,
      ttlMs,
      owner: "",
      attempt: 0,
      ...(waitMs !== undefined && { waitMs }),
    },
  };
}

function unlock(of: number | Uint8Array): Command {
  const which = typeof of === "number" ? { lock: of, key: new Uint8Array() } : { lock: 0, key: of };
  return { case: "unlock", value: { $typeName: "metasrv.v1.SessionUnlock", ...which } };
}

function renew(of: number | Uint8Array, ttlMs = 0n): Command {
  const which = typeof of === "number" ? { lock: of, key: new Uint8Array() } : { lock: 0, key: of };
  return { case: "renew", value: { $typeName: "metasrv.v1.SessionRenew", ...which, ttlMs } };
}

function cancel(number: number): Command {
  return { case: "cancel", value: number };
}

describe("commands", () => {
  test("the first message names the terms, and only that one", async () => {
    const client = new Client(await startNode({ heartbeatMs: 500, sessionTimeoutMs: 2_000, maxSessionCommands: 7 }));
    client.send([1, lock("a")]);
    const first = client.session.next();
    expect(first).toMatchObject({ events: [], terms: { heartbeatMs: 500n, timeoutMs: 2_000n, maxCommands: 7 } });
    expect(await client.since(0)).toEqual(["1 granted"]);
    expect(await client.sent([2, lock("b")])).toEqual(["2 granted"]);
    expect(client.session.next()).toBeUndefined();
  });

  test("many commands come in one message, and their answers in one", async () => {
    const client = new Client(await startNode());
    client.read();
    expect(await client.sent([1, lock("a")], [2, lock("b")], [3, lock("a", { waitMs: 0n })])).toEqual([
      "1 granted",
      "2 granted",
      "3 refused",
    ]);
    expect(await client.sent([4, unlock(1)], [5, renew(2, 5_000n)])).toEqual(["4 unlocked", "5 renewed 5000"]);
    expect(client.messages.filter((events) => events > 0)).toEqual([3, 2]);
  });

  test("a wait is told of its grant when the holder goes, here or on another session", async () => {
    const node = await startNode();
    const [one, two] = [new Client(node), new Client(node)];
    await one.sent([1, lock("a")], [2, lock("a")]);
    await two.sent([1, lock("a")]);
    expect(await one.sent([3, unlock(1)])).toEqual(expect.arrayContaining(["3 unlocked", "2 granted"]));
    await one.sent([4, unlock(2)]);
    expect(two.news).toEqual(["1 granted"]);
  });

  test("a wait that is over fails, and its number is free", async () => {
    const node = await startNode();
    const client = new Client(node);
    await client.sent([1, lock("a")], [2, lock("a", { waitMs: 100n })]);
    await node.node.clock.advance(100);
    expect(client.news).toEqual(["1 granted", "2 failed WAIT_TIMED_OUT"]);
    expect(await client.sent([2, lock("b")])).toEqual(["2 granted"]);
  });

  test("what is wrong with a command fails it, and nothing else", async () => {
    const client = new Client(await startNode());
    const noTicket = lock("a");
    if (noTicket.case === "lock") {
      noTicket.value.ticketId = new Uint8Array();
    }
    const sent = client.sent(
      [1, lock("")],
      [2, lock("a", { ttlMs: -1n })],
      [3, noTicket],
      [4, unlock(new Uint8Array([1]))],
      [5, renew(new Uint8Array([1]))],
      [6, unlock(17)],
      [7, renew(17)],
      [8, { case: undefined }],
      [9, lock("a")],
    );
    expect([...(await sent)].sort()).toEqual([
      "1 failed INVALID_NAME",
      "2 failed INVALID_TTL",
      "3 failed INVALID_TICKET_ID",
      "4 failed INVALID_KEY",
      "5 failed INVALID_KEY",
      "6 failed NOT_HELD",
      "7 failed NOT_HELD",
      "8 failed INVALID_COMMAND",
      "9 granted",
    ]);
    const [first] = client.events;
    expect(first?.event.value).toMatchObject({ code: Code.InvalidArgument, message: /1 to 1024 bytes/ });
    expect(client.session.over).toBeUndefined();
  });

  test.each<[string, [number, Command][]]>([
    ["0", [[0, lock("a")]]],
    [
      "of a wait",
      [
        [1, lock("held")],
        [2, lock("held")],
        [2, lock("b")],
      ],
    ],
    [
      "of a hold",
      [
        [1, lock("a")],
        [1, lock("b")],
      ],
    ],
    [
      "of a hold, to cancel",
      [
        [1, lock("a")],
        [1, cancel(1)],
      ],
    ],
    [
      "of an unlock without answer",
      [
        [1, lock("a")],
        [2, unlock(1)],
        [2, lock("b")],
      ],
    ],
    [
      "of a renewal by key without answer",
      [
        [1, renew(new Uint8Array([1]))],
        [1, lock("b")],
      ],
    ],
  ])("the number %s ends the session", async (_, commands) => {
    const client = new Client(await startNode());
    client.send(...commands, [100, lock("never")]);
    await client.since(0);
    expect(client.session.over?.error).toMatchObject({ reason: "invalid-command" });
    expect(client.news.filter((news) => news.startsWith("100 "))).toEqual([]);
  });

  test("numbers are free once they were answered", async () => {
    const client = new Client(await startNode());
    for (let round = 0; round < 3; round++) {
      expect(await client.sent([1, lock("a")])).toEqual(["1 granted"]);
      expect(await client.sent([2, renew(1)])).toEqual(["2 renewed 10000"]);
      expect(await client.sent([2, unlock(1)])).toEqual(["2 unlocked"]);
    }
  });

  test("beyond the most commands locks fail, but what is held can be given back", async () => {
    const client = new Client(await startNode({ maxSessionCommands: 2 }));
    await client.sent([1, lock("a")], [2, lock("a")]);
    expect(await client.sent([3, lock("b")])).toEqual(["3 failed TOO_MANY_COMMANDS"]);
    expect(await client.sent([3, renew(client.key(1))])).toEqual(["3 failed TOO_MANY_COMMANDS"]);
    expect(await client.sent([3, renew(1)])).toEqual(["3 renewed 10000"]);
    expect(await client.sent([3, unlock(9)], [4, unlock(9)], [5, unlock(9)])).toContain("5 failed TOO_MANY_COMMANDS");
    expect(await client.sent([3, unlock(1)])).toEqual(expect.arrayContaining(["3 unlocked", "2 granted"]));
    expect(await client.sent([3, lock("b")])).toEqual(["3 granted"]);
  });

  test("thousands of answers come in messages of bounded size, in order", async () => {
    const client = new Client(await startNode());
    const commands = Array.from({ length: 3_000 }, (_, n): [number, Command] => [
      n + 1,
      lock(`${"n".repeat(900)}${n}`),
    ]);
    await client.sent(...commands);
    expect(client.events.map(({ number }) => number)).toEqual(commands.map(([number]) => number));
    expect(Math.max(...client.messages)).toBeLessThan(70);
  });
});

describe("news of a lock", () => {
  test("expiry", async () => {
    const node = await startNode();
    const client = new Client(node);
    await client.sent([1, lock("a", { ttlMs: 100n })]);
    await node.node.clock.advance(100);
    expect(client.news).toEqual(["1 granted", "1 lost EXPIRED"]);
    expect(await client.sent([2, unlock(1)], [3, unlock(client.key(1))])).toEqual([
      "2 failed NOT_HELD",
      "3 failed NOT_HELD",
    ]);
    expect(await client.sent([1, lock("a")])).toEqual(["1 granted"]);
  });

  test("release with its key by somebody else", async () => {
    const node = await startNode();
    const client = new Client(node);
    await client.sent([1, lock("a")]);
    await node.node.store.unlock(client.key(1));
    expect(await client.since(1)).toEqual(["1 lost RELEASED"]);
  });

  test("none of the client's own unlock", async () => {
    const client = new Client(await startNode());
    await client.sent([1, lock("a")]);
    expect(await client.sent([2, unlock(1)])).toEqual(["2 unlocked"]);
  });

  test("and of an unlock that comes too late, both, so that it is known that the number is free", async () => {
    const node = await startNode();
    const client = new Client(node);
    await client.sent([1, lock("a")]);
    const elsewhere = node.node.store.unlock(client.key(1));
    expect(await client.sent([2, unlock(1)])).toEqual(["1 lost RELEASED", "2 failed NOT_HELD"]);
    await elsewhere;
  });

  test("two unlocks of one lock: the second is told that nothing is held, whatever the number stands for then", async () => {
    const client = new Client(await startNode());
    await client.sent([1, lock("a")]);
    expect(await client.sent([2, unlock(1)], [3, unlock(1)])).toEqual(["2 unlocked", "3 failed NOT_HELD"]);
    expect(await client.sent([1, lock("a")])).toEqual(["1 granted"]);
    expect(await client.sent([2, renew(1)])).toEqual(["2 renewed 10000"]);
  });

  test("an unlock of a wait fails, and the wait goes on", async () => {
    const client = new Client(await startNode());
    await client.sent([1, lock("a")], [2, lock("a")]);
    expect(await client.sent([3, unlock(2)], [4, renew(2)])).toEqual(["4 failed NOT_HELD", "3 failed NOT_HELD"]);
    expect(await client.sent([3, unlock(1)])).toEqual(expect.arrayContaining(["3 unlocked", "2 granted"]));
  });
});

describe("cancel", () => {
  test("ends a wait without an answer, and its number is free", async () => {
    const node = await startNode();
    const client = new Client(node);
    await client.sent([1, lock("a")], [2, lock("a")]);
    expect(await client.sent([3, cancel(2)], [3, cancel(99)])).toEqual([]);
    expect(node.node.store.state(Buffer.from("a")).waiters).toBe(0);
    expect(await client.sent([2, lock("b")])).toEqual(["2 granted"]);
  });

  test("of a grant that is on its way leaves it the client's: it can be unlocked, and its loss is told", async () => {
    const node = await startNode();
    const client = new Client(node);
    await client.sent([1, lock("a", { ttlMs: 100n })], [2, lock("b", { ttlMs: 100n })]);
    expect(await client.sent([3, cancel(1)], [4, cancel(2)])).toEqual([]);
    expect(await client.sent([3, unlock(1)])).toEqual(["3 unlocked"]);
    await node.node.clock.advance(100);
    expect(client.news.at(-1)).toBe("2 lost EXPIRED");
  });

  test("in the same message as its command leaves nothing behind", async () => {
    const node = await startNode();
    const client = new Client(node);
    expect(await client.sent([1, lock("a")], [2, cancel(1)])).toEqual([]);
    expect(node.node.store.size).toBe(0);
    expect(await client.sent([1, lock("a")])).toEqual(["1 granted"]);
  });
});

describe("renewal", () => {
  test("by number starts the TTL anew", async () => {
    const node = await startNode();
    const client = new Client(node);
    await client.sent([1, lock("a", { ttlMs: 100n })]);
    await node.node.clock.advance(60);
    expect(await client.sent([2, renew(1)])).toEqual(["2 renewed 100"]);
    await node.node.clock.advance(60);
    expect(client.news).not.toContain("1 lost EXPIRED");
    expect(await client.sent([2, renew(1, 500n)], [3, renew(1, -5n)])).toEqual(
      expect.arrayContaining(["2 renewed 500", "3 failed INVALID_TTL"]),
    );
    await node.node.clock.advance(500);
    expect(client.news.at(-1)).toBe("1 lost EXPIRED");
  });

  test("by key makes the lock this stream's, under the command's number; the other stream is told", async () => {
    const node = await startNode();
    const [one, two] = [new Client(node), new Client(node)];
    await one.sent([1, lock("a", { ttlMs: 100n })]);
    expect(await two.sent([7, renew(one.key(1))])).toEqual(["7 renewed 100"]);
    expect(one.news).toEqual(["1 granted", "1 lost MOVED"]);
    expect(await one.sent([2, unlock(1)])).toEqual(["2 failed NOT_HELD"]);
    expect(await one.sent([1, lock("b")])).toEqual(["1 granted"]);
    await node.node.clock.advance(100);
    expect(two.news).toEqual(["7 renewed 100", "7 lost EXPIRED"]);
  });

  test("by key, on the stream that has it already, moves it to the new number", async () => {
    const client = new Client(await startNode());
    await client.sent([1, lock("a")]);
    expect(await client.sent([2, renew(client.key(1))])).toEqual(["1 lost MOVED", "2 renewed 10000"]);
    expect(await client.sent([3, unlock(2)])).toEqual(["3 unlocked"]);
  });

  test("by key, lost before the answer went out, is told in order", async () => {
    const node = await startNode();
    const [one, two] = [new Client(node), new Client(node)];
    await one.sent([1, lock("a")]);
    const key = one.key(1);
    // The first to ask loses it to the second, before either was answered.
    two.send([1, renew(key)]);
    one.send([2, renew(key)]);
    await one.since(0);
    await two.since(0);
    expect(two.news).toEqual(["1 renewed 10000", "1 lost MOVED"]);
    expect(one.news).toEqual(["1 granted", "1 lost MOVED", "2 renewed 10000"]);
    expect(await two.sent([1, lock("b")])).toEqual(["1 granted"]);
  });

  test("by key on a session that ended meanwhile leaves the lock to its TTL", async () => {
    const node = await startNode();
    const [one, two] = [new Client(node), new Client(node)];
    await one.sent([1, lock("a", { ttlMs: 100n })]);
    two.send([1, renew(one.key(1))]);
    two.session.break(undefined);
    await two.since(0);
    expect(two.news).toEqual([]);
    await node.node.clock.advance(100);
    expect(node.node.store.size).toBe(0);
  });
});

describe("the end", () => {
  test("a client that ends its requests keeps its waits for the grace, and its holds, and is answered what it asked", async () => {
    const node = await startNode({ waiterGraceMs: 1_000 });
    const client = new Client(node);
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
    const node = await startNode({ waiterGraceMs: 1_000 });
    const [one, two, three] = [new Client(node), new Client(node), new Client(node)];
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
    const node = await startNode();
    const client = new Client(node);
    const waits = 50_000;
    await client.sent([1, lock("a")]);
    client.send(...Array.from({ length: waits }, (_, n): [number, Command] => [n + 10, lock(`${n % 10}`)]));
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
    const node = await startNode();
    const client = new Client(node);
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
    const log = new ScriptedTicketLog();
    const node = await startNode({}, log);
    const client = new Client(node);
    await client.sent([1, lock("orders", { ticket: 1 })], [2, lock("orders", { ticket: 2 })]);
    await client.sent([3, lock("orders", { ticket: 3 })]);
    adoptElsewhere(log, 2, "n2");
    log.deliver();
    adoptElsewhere(log, 3, "n2");
    client.session.end();
    await settled();
    log.deliver();
    await settled();
    expect(log.store.tickets.map(({ id: ticket, ticket: { memberId } }) => [ticket, memberId])).toEqual([
      [id(1), "n1"],
      [id(2), "n2"],
      [id(3), "n2"],
    ]);
    expect(client.news).toEqual(["1 granted", "2 failed SUPERSEDED"]);
  });

  test("is told to, once, and served until it has", async () => {
    const node = await startNode();
    const [client, other] = [new Client(node), new Client(node)];
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
    const node = await startNode({ waiterGraceMs: 1_000 });
    const [holder, client] = [new Client(node), new Client(node)];
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
    const node = await startNode();
    void node.dependencies.sessions.drain(node.node.clock, 1_000);
    const client = new Client(node);
    expect(await client.sent([1, lock("a")])).toEqual([]);
    expect(client.session.over?.error).toMatchObject({ reason: "shutting-down" });
    expect([client.messages, node.dependencies.sessions.size, node.node.clock.timers]).toEqual([[], 0, 0]);
  });
});

describe("signs of life", () => {
  const life = { heartbeatMs: 1_000, sessionTimeoutMs: 3_000 };

  test("the server gives one in every heartbeat", async () => {
    const node = await startNode(life);
    const client = new Client(node);
    client.read();
    await node.node.clock.advance(3_000);
    expect(client.messages).toEqual([0, 0, 0, 0]);
  });

  test("a client that gives none is given up", async () => {
    const node = await startNode(life);
    const client = new Client(node);
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
    const node = await startNode(life);
    const client = new Client(node);
    for (let beat = 0; beat < 10; beat++) {
      await node.node.clock.advance(3_000);
      client.send();
    }
    expect(client.session.over).toBeUndefined();
  });
});

describe("a client that does not read", () => {
  const life = { heartbeatMs: 1_000, sessionTimeoutMs: 3_000 };

  /** Asks for what fails at once, for as long as it is listened to. */
  function flood(client: Client, most: number): number {
    let sent = 0;
    for (; sent < most && !client.paused; sent += 1_000) {
      client.send(...Array.from({ length: 1_000 }, (_, n): [number, Command] => [n + 1, lock("")]));
    }
    return sent;
  }

  test("is not listened to either, until it has read", async () => {
    const client = new Client(await startNode(life));
    client.reads = false;
    expect(flood(client, 1_000_000)).toBeLessThan(20_000);
    client.read();
    expect(client.paused).toBe(false);
    expect(client.session.over).toBeUndefined();
    await client.since(0);
  });

  test("is given up after the time-out", async () => {
    const node = await startNode(life);
    const client = new Client(node);
    client.reads = false;
    flood(client, 1_000_000);
    await node.node.clock.advance(3_999);
    expect(client.session.over).toBeUndefined();
    await node.node.clock.advance(1);
    expect(client.session.over?.error).toMatchObject({ reason: "not-reading" });
    expect(client.resets).toBe(1);
  });

  test("but only slowly is served on", async () => {
    const node = await startNode(life);
    const client = new Client(node);
    client.reads = false;
    for (let beat = 0; beat < 10; beat++) {
      flood(client, 5_000);
      await node.node.clock.advance(3_000);
      client.session.next();
    }
    expect(client.session.over).toBeUndefined();
  });
});
