import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, test } from "@jest/globals";
import { ErrorDetailSchema, InspectService, LockMode, Reason } from "@metasrv/proto/metasrv/v1";
import { contentOf, createElsewhere, id, lock, nodeOfThree } from "../../test-support/node-fixture.js";
import { dependenciesAround } from "../../test-support/served.js";
import { createRoutes } from "../http/routes.js";
import { type Share, shared } from "../model/ticket-content.js";
import { lockNameOf } from "../model/ticket-ref.js";
import { openAccess } from "./access.js";

async function startNode() {
  const node = await nodeOfThree();
  const dependencies = dependenciesAround(node.store, { access: openAccess(node.store, node.store) });
  const routes = createRoutes(dependencies);
  const clientOf = (useBinaryFormat: boolean) =>
    createClient(InspectService, createRouterTransport(routes, { transport: { useBinaryFormat } }));
  return { node, client: clientOf(true), jsonClient: clientOf(false) };
}

const named = (value: string) => ({ lock: { case: "name", value } }) as const;

describe("GetLock", () => {
  test("shows who holds and who waits, since when, and at which member, and neither keys nor ids", async () => {
    const { node, client } = await startNode();
    const holder = await node.asked({ owner: "orders-7", ttlMs: 5_000, ticket: 7 });
    await node.clock.advance(1_200);
    createElsewhere(node.log, 2, "n2");
    node.log.deliver();
    await node.clock.advance(300);
    const response = await client.getLock(named("orders"));
    expect(response.lock).toMatchObject({
      lock: { case: "name", value: "orders" },
      mode: LockMode.EXCLUSIVE,
      oldestWaitMs: 300n,
      state: { holderCount: 1, waiters: 1, holders: [{ owner: "orders-7", heldMs: 1_500n }] },
    });
    expect(response.tickets).toMatchObject([
      {
        token: holder.grant.token,
        mode: LockMode.EXCLUSIVE,
        holds: true,
        position: 0,
        owner: "orders-7",
        memberId: "n1",
        ageMs: 1_500n,
        heldMs: 1_500n,
        expiresInMs: 3_500n,
      },
      { holds: false, position: 1, owner: "n2", memberId: "n2", ageMs: 300n, heldMs: 0n },
    ]);
    expect(response.tickets[1]?.expiresInMs).toBeUndefined();
    const text = JSON.stringify(response, (_, value: unknown) =>
      typeof value === "bigint" ? value.toString() : value,
    );
    for (const secret of [Buffer.from(holder.grant.key), Buffer.from(id(7), "latin1")]) {
      expect(text).not.toContain(secret.toString("base64"));
      expect(text).not.toContain(secret.toString("hex"));
    }
  });

  test("shows shared holders and permits as they were asked for, and as many tickets as are wanted", async () => {
    const { node, client } = await startNode();
    const ask = (n: number, name: string, share: Share) => {
      const content = contentOf("n2", share);
      node.log.elsewhere("n2", { kind: "create", name: lock(name), id: id(n), content, attempt: 0, try: false });
    };
    for (const n of [1, 2, 3]) {
      ask(n, "read", shared);
    }
    ask(4, "part", { permits: 2, limit: 5 });
    node.log.deliver();
    const read = await client.getLock({ ...named("read"), maxTickets: 2 });
    expect(read.lock).toMatchObject({ mode: LockMode.SHARED, state: { holderCount: 3, limit: 2 ** 32 - 1 } });
    expect(read.tickets.map(({ mode, permits, limit }) => [mode, permits, limit])).toEqual([
      [LockMode.SHARED, 0, 0],
      [LockMode.SHARED, 0, 0],
    ]);
    expect((await client.getLock(named("part"))).tickets).toMatchObject([
      { mode: LockMode.SEMAPHORE, permits: 2, limit: 5 },
    ]);
  });

  test("shows a lock that nobody holds without tickets", async () => {
    const { client } = await startNode();
    const { lock: shown, tickets } = await client.getLock(named("free"));
    expect(tickets).toEqual([]);
    expect(shown).toMatchObject({ mode: LockMode.UNSPECIFIED, state: { holderCount: 0, waiters: 0, limit: 0 } });
  });

  test("of a token that this node has not seen yet reads the store first", async () => {
    const { node, client } = await startNode();
    const { token } = createElsewhere(node.log, 1, "n2");
    expect((await client.getLock(named("orders"))).tickets).toEqual([]);
    const shown = await client.getLock({ ...named("orders"), minToken: token });
    expect(shown.tickets).toMatchObject([{ token }]);
  });

  test.each([
    ["no name", {}, Reason.INVALID_NAME, "say which lock is meant"],
    ["too many tickets", { ...named("a"), maxTickets: 251 }, Reason.INVALID_PAGE, "max_tickets is 251; give 1 to 250"],
  ])("with %s is refused", async (_, request, reason, message) => {
    const { client } = await startNode();
    const error = await client.getLock(request).catch((failure: unknown) => failure);
    expect(error).toMatchObject({ code: Code.InvalidArgument });
    expect((error as Error).message).toContain(message);
    expect(ConnectError.from(error).findDetails(ErrorDetailSchema)).toMatchObject([{ reason }]);
  });
});

describe("ListLocks", () => {
  test("says the same in JSON and in protobuf's bytes", async () => {
    const { node, client, jsonClient } = await startNode();
    const names = [lock("a"), lock("a"), lockNameOf(Buffer.from([0xff, 0])), lock("b")];
    names.forEach((name, n) => createElsewhere(node.log, n + 1, "n2", name));
    node.log.deliver();
    await node.clock.advance(300);
    const list = async (by: typeof client, pageSize: number) => {
      const asked = by.listLocks({ pageSize });
      await node.clock.advance(10);
      return await asked;
    };
    const whole = await list(client, 0);
    expect(whole.locks.map(({ lock: name, oldestWaitMs }) => [name.case, oldestWaitMs > 0n])).toEqual([
      ["name", true],
      ["name", false],
      ["nameBytes", false],
    ]);
    expect((await list(jsonClient, 0)).locks).toMatchObject(
      whole.locks.map(({ lock: name, mode }) => ({ lock: name, mode, state: { holderCount: 1 } })),
    );
    const [one, same] = [await list(client, 1), await list(jsonClient, 1)];
    expect([one.locks.length, one.nextPageToken]).toEqual([1, same.nextPageToken]);
  });

  test("shows the locks of a prefix in order, in pages, also with names that are no text", async () => {
    const { node, client } = await startNode();
    const names = ["a", "a/b", "a/c", "a/ä", "b"].map((name) => Buffer.from(name));
    names.push(Buffer.from([0x61, 0x2f, 0xff]));
    names.forEach((name, n) => createElsewhere(node.log, n + 1, "n2", lockNameOf(name)));
    node.log.deliver();
    const seen: unknown[] = [];
    let pageToken = "";
    do {
      const asked = client.listLocks({ beginning: { case: "prefix", value: "a/" }, pageSize: 2, pageToken });
      await node.clock.advance(10);
      const page = await asked;
      expect(page.locks.length).toBeLessThanOrEqual(2);
      seen.push(...page.locks.map(({ lock: name }) => name.value));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(seen).toEqual(["a/b", "a/c", "a/ä", new Uint8Array([0x61, 0x2f, 0xff])]);
  });

  test("shows only locks that somebody waits for, if that is wanted", async () => {
    const { node, client } = await startNode();
    for (const [n, name] of ["a", "b", "b", "c"].entries()) {
      createElsewhere(node.log, n + 1, "n2", lock(name));
    }
    node.log.deliver();
    const asked = client.listLocks({ waitingOnly: true });
    await node.clock.advance(10);
    const { locks, nextPageToken } = await asked;
    expect(locks.map(({ lock: name, state }) => [name.value, state?.waiters])).toEqual([["b", 1]]);
    expect(nextPageToken).toBe("");
  });

  test("goes on while the names are put in order, some at a time, and begins again when the log is read anew", async () => {
    const { node, client } = await startNode();
    for (let n = 0; n < 2_500; n++) {
      createElsewhere(node.log, n + 1, "n2", lock(`lock ${String(n).padStart(4, "0")}`));
    }
    node.log.deliver();
    const page = client.listLocks({ pageSize: 250 });
    await node.clock.advance(5);
    node.log.relist();
    await node.clock.advance(20);
    const { locks, nextPageToken } = await page;
    expect(locks.map(({ lock: name }) => name.value).at(-1)).toBe("lock 0249");
    const next = client.listLocks({ pageSize: 250, pageToken: nextPageToken });
    await node.clock.advance(200);
    expect((await next).locks.map(({ lock: name }) => name.value)[0]).toBe("lock 0250");
    await node.store.stop();
    expect(node.clock.timers).toBe(0);
  });

  test.each([
    ["a page that is too large", { pageSize: 251 }, "page_size is 251; give 1 to 250, or 0 for 100"],
    ["a page token that is none", { pageToken: "a page" }, "give back next_page_token unchanged, or nothing"],
  ])("with %s is refused", async (_, request, message) => {
    const { client } = await startNode();
    await expect(client.listLocks(request)).rejects.toThrow(message);
  });
});
