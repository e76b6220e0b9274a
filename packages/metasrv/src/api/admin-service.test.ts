import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, test } from "@jest/globals";
import { AdminService, ErrorDetailSchema, InspectService, Reason } from "@metasrv/proto/metasrv/v1";
import { settled } from "@metasrv/wire/testing";
import { createElsewhere, nodeOfThree } from "../../test-support/node-fixture.js";
import { dependenciesAround } from "../../test-support/served.js";
import { createRoutes } from "../http/routes.js";
import { openAccess } from "./access.js";

async function startNode() {
  const node = await nodeOfThree();
  const transport = createRouterTransport(
    createRoutes(dependenciesAround(node.store, { access: openAccess(node.store, node.store) })),
  );
  return { node, client: createClient(AdminService, transport), inspect: createClient(InspectService, transport) };
}

const named = (value: string) => ({ lock: { case: "name", value } }) as const;

async function failure(call: Promise<unknown>): Promise<{ code: Code; reason: Reason | undefined; message: string }> {
  const error = ConnectError.from(await call.catch((reason: unknown) => reason));
  return { code: error.code, reason: error.findDetails(ErrorDetailSchema)[0]?.reason, message: error.rawMessage };
}

describe("ForceRelease", () => {
  test("removes a ticket of another member, shows it as it stood, and lets the next one hold", async () => {
    const { node, client } = await startNode();
    const { token } = createElsewhere(node.log, 1, "n2");
    node.log.deliver();
    const waiter = await node.asked({ owner: "next" });
    const { ticket } = await client.forceRelease({ ...named("orders"), token, reason: "stuck", actor: "ops" });
    expect(ticket).toMatchObject({ token, holds: true, owner: "n2", memberId: "n2" });
    await settled();
    expect(waiter.told).toEqual(["granted"]);
    const { releases } = await client.listForced({});
    expect(releases).toMatchObject([
      { lock: named("orders"), token, owner: "n2", held: true, actor: "ops", reason: "stuck" },
    ]);
  });

  test("shows a ticket and does nothing where it is only to be tried", async () => {
    const { node, client } = await startNode();
    const { token } = createElsewhere(node.log, 1, "n2");
    node.log.deliver();
    const { ticket } = await client.forceRelease({ ...named("orders"), token, reason: "stuck", dryRun: true });
    expect(ticket).toMatchObject({ token, holds: true });
    expect((await client.listForced({})).releases).toEqual([]);
    expect(node.log.written.size).toBe(1);
  });

  test.each([
    [
      "another token",
      { token: 7n, reason: "stuck" },
      Code.FailedPrecondition,
      Reason.NOT_HELD,
      "look at the lock again",
    ],
    ["no reason", { token: 7n }, Code.InvalidArgument, Reason.INVALID_FORCE, "say why in 1 to 256 bytes"],
    [
      "a long actor",
      { reason: "r", actor: "x".repeat(257) },
      Code.InvalidArgument,
      Reason.INVALID_FORCE,
      "at most 256",
    ],
  ])("with %s changes nothing, and says so", async (_, request, code, reason, message) => {
    const { node, client } = await startNode();
    createElsewhere(node.log, 1, "n2");
    node.log.deliver();
    const failed = await failure(client.forceRelease({ ...named("orders"), ...request }));
    expect(failed).toMatchObject({ code, reason });
    expect(failed.message).toContain(message);
    expect(node.log.written.size).toBe(1);
  });

  test("without a name is refused", async () => {
    const { client } = await startNode();
    expect(await failure(client.forceRelease({ token: 7n, reason: "stuck" }))).toMatchObject({
      reason: Reason.INVALID_NAME,
    });
  });
});

describe("ListForced", () => {
  test("shows the latest first, a page at a time", async () => {
    const { node, client } = await startNode();
    const tokens: bigint[] = [];
    for (let n = 1; n <= 5; n++) {
      const { token } = createElsewhere(node.log, n, "n2");
      node.log.deliver();
      await client.forceRelease({ ...named("orders"), token, reason: `reason ${n}` });
      tokens.unshift(token);
    }
    const first = await client.listForced({ pageSize: 3 });
    const second = await client.listForced({ pageSize: 3, pageToken: first.nextPageToken });
    expect([...first.releases, ...second.releases].map(({ token }) => token)).toEqual(tokens);
    expect(second.nextPageToken).toBe("");
    expect(await failure(client.listForced({ pageToken: "bm8" }))).toMatchObject({ reason: Reason.INVALID_PAGE });
    expect(await failure(client.listForced({ pageSize: 251 }))).toMatchObject({ reason: Reason.INVALID_PAGE });
  });
});

describe("ListBlocked", () => {
  test("shows who is first to wait for a lock and who holds it, and requests that wait for each other", async () => {
    const { node, inspect } = await startNode();
    const a = await node.asked({ name: "a", owner: "one" });
    const b = await node.asked({ name: "b", owner: "two" });
    const within = (name: string, token: bigint) => ({ within: [{ name: Buffer.from(name), token }] });
    await node.asked({ name: "b", owner: "one", ...within("a", a.grant.token) });
    await node.clock.advance(5_000);
    // Lists leave time to others, so they need some.
    const listed = async (minWaitMs: bigint) => {
      const list = inspect.listBlocked({ minWaitMs });
      await node.clock.advance(50);
      return list;
    };
    const early = await listed(6_000n);
    expect(early.locks).toEqual([]);
    await node.asked({ name: "a", owner: "two", ...within("b", b.grant.token) });
    const { locks, deadlocks } = await listed(0n);
    expect(locks).toMatchObject([
      { lock: named("a"), waiter: { owner: "two", position: 1 }, blockers: [{ owner: "one", holds: true }] },
      { lock: named("b"), waiter: { owner: "one" }, blockers: [{ owner: "two" }] },
    ]);
    expect(deadlocks).toHaveLength(1);
    expect(deadlocks[0]?.requests.map(({ ticket }) => ticket?.owner).sort()).toEqual(["one", "two"]);
    expect((await listed(5_000n)).locks).toMatchObject([{ lock: named("b") }]);
  });
});
