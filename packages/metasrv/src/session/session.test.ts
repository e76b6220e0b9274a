import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "@jest/globals";
import { settled } from "@metasrv/wire/testing";
import {
  cancel,
  type Command,
  lock,
  renew,
  SessionClient,
  startSessionNode,
  unlock,
} from "../../test-support/session-client.js";

describe("commands", () => {
  test("the first message names the terms, and only that one", async () => {
    const client = new SessionClient(
      await startSessionNode({ heartbeatMs: 500, sessionTimeoutMs: 2_000, maxSessionCommands: 7 }),
    );
    client.send([1, lock("a")]);
    const first = client.session.next();
    expect(first).toMatchObject({ events: [], terms: { heartbeatMs: 500n, timeoutMs: 2_000n, maxCommands: 7 } });
    expect(await client.since(0)).toEqual(["1 granted"]);
    expect(await client.sent([2, lock("b")])).toEqual(["2 granted"]);
    expect(client.session.next()).toBeUndefined();
  });

  test("many commands come in one message, and their answers in one", async () => {
    const client = new SessionClient(await startSessionNode());
    client.read();
    expect(await client.sent([1, lock("a")], [2, lock("b")], [3, lock("a", { waitMs: 0n })])).toEqual([
      "1 granted",
      "2 granted",
      "3 refused",
    ]);
    expect(await client.sent([4, unlock(1)], [5, renew(2, 5_000n)])).toEqual(["4 unlocked", "5 renewed 5000"]);
    expect(client.messages.filter((events) => events > 0)).toEqual([3, 2]);
  });

  test("a grant leaves before the turn of the event loop is over", async () => {
    const client = new SessionClient(await startSessionNode());
    await settled();
    let turnOver = false;
    setImmediate(() => (turnOver = true));
    client.send([1, lock("a")]);
    for (let tick = 0; client.news.length === 0 && tick < 100; tick++) {
      await new Promise<void>((resolve) => {
        process.nextTick(resolve);
      });
    }
    expect(client.news).toEqual(["1 granted"]);
    expect(turnOver).toBe(false);
  });

  test("a wait is told of its grant when the holder goes, here or on another session", async () => {
    const node = await startSessionNode();
    const [one, two] = [new SessionClient(node), new SessionClient(node)];
    await one.sent([1, lock("a")], [2, lock("a")]);
    await two.sent([1, lock("a")]);
    expect(await one.sent([3, unlock(1)])).toEqual(expect.arrayContaining(["3 unlocked", "2 granted"]));
    await one.sent([4, unlock(2)]);
    expect(two.news).toEqual(["1 granted"]);
  });

  test("a wait that is over fails, and its number is free", async () => {
    const node = await startSessionNode();
    const client = new SessionClient(node);
    await client.sent([1, lock("a")], [2, lock("a", { waitMs: 100n })]);
    await node.node.clock.advance(100);
    expect(client.news).toEqual(["1 granted", "2 failed WAIT_TIMED_OUT"]);
    expect(await client.sent([2, lock("b")])).toEqual(["2 granted"]);
  });

  test("too many commands in one message end the session, and none of them is executed", async () => {
    const client = new SessionClient(await startSessionNode());
    const unknown = (count: number) => Array.from({ length: count }, (): [number, Command] => [1, { case: undefined }]);
    expect(await client.sent(...unknown(16_384))).toHaveLength(16_384);
    expect(client.session.over).toBeUndefined();
    expect(await client.sent(...unknown(16_385))).toEqual([]);
    expect(client.session.over?.error).toMatchObject({ reason: "invalid-command" });
  });

  test("what is wrong with a command fails it, and nothing else", async () => {
    const client = new SessionClient(await startSessionNode());
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
    const client = new SessionClient(await startSessionNode());
    client.send(...commands, [100, lock("never")]);
    await client.since(0);
    expect(client.session.over?.error).toMatchObject({ reason: "invalid-command" });
    expect(client.news.filter((news) => news.startsWith("100 "))).toEqual([]);
  });

  test("numbers are free once they were answered", async () => {
    const client = new SessionClient(await startSessionNode());
    for (let round = 0; round < 3; round++) {
      expect(await client.sent([1, lock("a")])).toEqual(["1 granted"]);
      expect(await client.sent([2, renew(1)])).toEqual(["2 renewed 10000"]);
      expect(await client.sent([2, unlock(1)])).toEqual(["2 unlocked"]);
    }
  });

  test("beyond the most commands locks fail, but what is held can be given back", async () => {
    const client = new SessionClient(await startSessionNode({ maxSessionCommands: 2 }));
    await client.sent([1, lock("a")], [2, lock("a")]);
    expect(await client.sent([3, lock("b")])).toEqual(["3 failed TOO_MANY_COMMANDS"]);
    expect(await client.sent([3, renew(client.key(1))])).toEqual(["3 failed TOO_MANY_COMMANDS"]);
    expect(await client.sent([3, renew(1)])).toEqual(["3 renewed 10000"]);
    expect(await client.sent([3, unlock(9)], [4, unlock(9)], [5, unlock(9)])).toContain("5 failed TOO_MANY_COMMANDS");
    expect(await client.sent([3, unlock(1)])).toEqual(expect.arrayContaining(["3 unlocked", "2 granted"]));
    expect(await client.sent([3, lock("b")])).toEqual(["3 granted"]);
  });

  test("thousands of answers come in messages of bounded size, in order", async () => {
    const client = new SessionClient(await startSessionNode());
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
    const node = await startSessionNode();
    const client = new SessionClient(node);
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
    const node = await startSessionNode();
    const client = new SessionClient(node);
    await client.sent([1, lock("a")]);
    await node.node.store.unlock(client.key(1));
    expect(await client.since(1)).toEqual(["1 lost RELEASED"]);
  });

  test("none of the client's own unlock", async () => {
    const client = new SessionClient(await startSessionNode());
    await client.sent([1, lock("a")]);
    expect(await client.sent([2, unlock(1)])).toEqual(["2 unlocked"]);
  });

  test("and of an unlock that comes too late, both, so that it is known that the number is free", async () => {
    const node = await startSessionNode();
    const client = new SessionClient(node);
    await client.sent([1, lock("a")]);
    const elsewhere = node.node.store.unlock(client.key(1));
    expect(await client.sent([2, unlock(1)])).toEqual(["1 lost RELEASED", "2 failed NOT_HELD"]);
    await elsewhere;
  });

  test("two unlocks of one lock: the second is told that nothing is held, whatever the number stands for then", async () => {
    const client = new SessionClient(await startSessionNode());
    await client.sent([1, lock("a")]);
    expect(await client.sent([2, unlock(1)], [3, unlock(1)])).toEqual(["2 unlocked", "3 failed NOT_HELD"]);
    expect(await client.sent([1, lock("a")])).toEqual(["1 granted"]);
    expect(await client.sent([2, renew(1)])).toEqual(["2 renewed 10000"]);
  });

  test("an unlock of a wait fails, and the wait goes on", async () => {
    const client = new SessionClient(await startSessionNode());
    await client.sent([1, lock("a")], [2, lock("a")]);
    expect(await client.sent([3, unlock(2)], [4, renew(2)])).toEqual(["4 failed NOT_HELD", "3 failed NOT_HELD"]);
    expect(await client.sent([3, unlock(1)])).toEqual(expect.arrayContaining(["3 unlocked", "2 granted"]));
  });
});

describe("cancel", () => {
  test("ends a wait without an answer, and its number is free", async () => {
    const node = await startSessionNode();
    const client = new SessionClient(node);
    await client.sent([1, lock("a")], [2, lock("a")]);
    expect(await client.sent([3, cancel(2)], [3, cancel(99)])).toEqual([]);
    expect(node.node.store.state(Buffer.from("a")).waiters).toBe(0);
    expect(await client.sent([2, lock("b")])).toEqual(["2 granted"]);
  });

  test("of a grant that is on its way releases the lock, and frees its number", async () => {
    const node = await startSessionNode();
    const client = new SessionClient(node);
    expect(await client.sent([1, lock("a")])).toEqual(["1 granted"]);
    expect(await client.sent([2, cancel(1)])).toEqual([]);
    expect(node.node.store.size).toBe(0);
    expect(await client.sent([1, lock("a")])).toEqual(["1 granted"]);
  });

  test("in the same message as its command leaves nothing behind", async () => {
    const node = await startSessionNode();
    const client = new SessionClient(node);
    expect(await client.sent([1, lock("a")], [2, cancel(1)])).toEqual([]);
    expect(node.node.store.size).toBe(0);
    expect(await client.sent([1, lock("a")])).toEqual(["1 granted"]);
  });
});

describe("renewal", () => {
  test("by number starts the TTL anew", async () => {
    const node = await startSessionNode();
    const client = new SessionClient(node);
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
    const node = await startSessionNode();
    const [one, two] = [new SessionClient(node), new SessionClient(node)];
    await one.sent([1, lock("a", { ttlMs: 100n })]);
    expect(await two.sent([7, renew(one.key(1))])).toEqual(["7 renewed 100"]);
    expect(one.news).toEqual(["1 granted", "1 lost MOVED"]);
    expect(await one.sent([2, unlock(1)])).toEqual(["2 failed NOT_HELD"]);
    expect(await one.sent([1, lock("b")])).toEqual(["1 granted"]);
    await node.node.clock.advance(100);
    expect(two.news).toEqual(["7 renewed 100", "7 lost EXPIRED"]);
  });

  test("by key, on the stream that has it already, moves it to the new number", async () => {
    const client = new SessionClient(await startSessionNode());
    await client.sent([1, lock("a")]);
    expect(await client.sent([2, renew(client.key(1))])).toEqual(["1 lost MOVED", "2 renewed 10000"]);
    expect(await client.sent([3, unlock(2)])).toEqual(["3 unlocked"]);
  });

  test("by key, lost before the answer went out, is told in order", async () => {
    const node = await startSessionNode();
    const [one, two] = [new SessionClient(node), new SessionClient(node)];
    await one.sent([1, lock("a")]);
    const key = one.key(1);
    // The first session loses the lock to the second one before either is answered.
    two.send([1, renew(key)]);
    one.send([2, renew(key)]);
    await one.since(0);
    await two.since(0);
    expect(two.news).toEqual(["1 renewed 10000", "1 lost MOVED"]);
    expect(one.news).toEqual(["1 granted", "1 lost MOVED", "2 renewed 10000"]);
    expect(await two.sent([1, lock("b")])).toEqual(["1 granted"]);
  });

  test("by key on a session that ended meanwhile leaves the lock to its TTL", async () => {
    const node = await startSessionNode();
    const [one, two] = [new SessionClient(node), new SessionClient(node)];
    await one.sent([1, lock("a", { ttlMs: 100n })]);
    two.send([1, renew(one.key(1))]);
    two.session.break(undefined);
    await two.since(0);
    expect(two.news).toEqual([]);
    await node.node.clock.advance(100);
    expect(node.node.store.size).toBe(0);
  });
});
