import { describe, expect, test } from "@jest/globals";
import { settled } from "@metasrv/wire/testing";
import type { LockPart } from "./lock-arguments.js";
import { SelfDeadlockError } from "./meta-errors.js";
import { type ScriptedClient, scriptedClient } from "./testing/scripted-client.js";

/** Grants what is asked for next, and later takes it back. */
async function grant({ a }: ScriptedClient, token: bigint) {
  const call = await a.locks.next();
  call.answer({
    $typeName: "metasrv.v1.LockResponse",
    outcome: {
      case: "granted",
      value: {
        $typeName: "metasrv.v1.Grant",
        key: Uint8Array.of(Number(token)),
        token,
        ttlMs: 60_000n,
        waitedMs: 0,
        floor: token,
        limit: 0,
        parts: [],
      },
    },
  });
  return call.request;
}

/** A client whose unlocks are answered. */
function tracking(trackNesting = true): ScriptedClient {
  const client = scriptedClient({ trackNesting });
  void (async () => {
    for (;;) {
      (await client.a.unlocks.next()).answer({ $typeName: "metasrv.v1.UnlockResponse" });
    }
  })();
  return client;
}

describe("code that holds a lock", () => {
  test("and asks for it again is told so at once, with the place where it was asked for", async () => {
    const client = tracking();
    const failed = client.meta.withLock("x", async function outerPlace() {
      await settled();
      return client.meta.lock(Buffer.from("x")).catch((error: unknown) => error);
    });
    await grant(client, 1n);
    const error = await failed;
    expect(error).toBeInstanceOf(SelfDeadlockError);
    expect((error as Error).message).toMatch(/lock 0x78 is asked for inside of code that holds it/);
    expect((error as Error).message).toContain("nesting.test.ts");
    expect(client.a.locks.all).toHaveLength(1);
  });

  test.each<[string, LockPart, LockPart, boolean]>([
    ["shared and shared", { name: "x", mode: "shared" }, { name: "x", mode: "shared" }, false],
    ["shared and exclusive", { name: "x", mode: "shared" }, { name: "x" }, true],
    ["exclusive and shared", { name: "x" }, { name: "x", mode: "shared" }, true],
    ["permits for both", { name: "x", limit: 3 }, { name: "x", limit: 3, permits: 2 }, false],
    ["permits for one", { name: "x", limit: 3, permits: 2 }, { name: "x", limit: 3, permits: 2 }, true],
    ["another lock", { name: "x" }, { name: "y" }, false],
    ["one of several", { name: "x" }, { name: "x" }, true],
  ])("as %s", async (_, outer, inner, isSelfDeadlock) => {
    const client = tracking();
    const done = client.meta.withAll([outer, "z"], async () => {
      await settled();
      const ends = new AbortController();
      const asked = client.meta.lockAll([inner, "q"], { signal: ends.signal });
      const failed = asked.catch((error: unknown) => error);
      await settled();
      ends.abort();
      return (await failed) instanceof SelfDeadlockError;
    });
    await grant(client, 1n);
    expect(await done).toBe(isSelfDeadlock);
  });

  test("and bounds its wait, or does not wait, asks as others do", async () => {
    const client = tracking();
    const done = client.meta.withLock("x", async () => {
      await settled();
      const tried = client.meta.tryLock("x");
      const call = await client.a.locks.next();
      call.answer({
        $typeName: "metasrv.v1.LockResponse",
        outcome: { case: "refused", value: { $typeName: "metasrv.v1.Refusal" } },
      });
      return tried;
    });
    await grant(client, 1n);
    expect(await done).toBeNull();
  });

  test("tells servers what it holds, the innermost first, and nothing of what it has given back", async () => {
    const client = tracking();
    const done = client.meta.withLock("outer", () => {
      return client.meta.withLock("inner", async (inner) => {
        const third = client.meta.withLock("third", () => undefined);
        const request = await grant(client, 3n);
        await third;
        await inner.release();
        const fourth = client.meta.withLock("fourth", () => undefined);
        const later = await grant(client, 4n);
        await fourth;
        return [request.within, later.within].map((held) => held.map(({ lock, token }) => [lock.value, token]));
      });
    });
    const first = await grant(client, 1n);
    expect(first.within).toEqual([]);
    const second = await grant(client, 2n);
    expect(second.within).toMatchObject([{ token: 1n }]);
    expect(await done).toEqual([
      [
        ["inner", 2n],
        ["outer", 1n],
      ],
      [["outer", 1n]],
    ]);
  });

  test("finds it by its name, and its siblings do not", async () => {
    const client = tracking();
    const { meta } = client;
    let inside: unknown;
    const done = meta.withLock("x", async (lock) => {
      await settled();
      inside = [meta.current("x") === lock, meta.current(Buffer.from("x")) === lock, meta.current("y")];
    });
    await grant(client, 1n);
    await done;
    expect(inside).toEqual([true, true, undefined]);
    expect(meta.current("x")).toBeUndefined();
  });
});

test("without trackNesting, nothing is known of what code holds", async () => {
  const client = tracking(false);
  const done = client.meta.withLock("x", () => {
    const ends = new AbortController();
    const again = client.meta.lock("x", { signal: ends.signal }).catch((error: unknown) => error);
    ends.abort(new Error("gave up"));
    const current = client.meta.current("x");
    return again.then((error) => [error, current]);
  });
  await grant(client, 1n);
  expect(await done).toEqual([new Error("gave up"), undefined]);
});
