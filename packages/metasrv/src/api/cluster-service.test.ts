import { Code, createClient, createRouterTransport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, test } from "@jest/globals";
import { ClusterService, ErrorDetailSchema, MemberRole, Reason } from "@metasrv/proto/metasrv/v1";
import { nodeOfThree } from "../../test-support/node-fixture.js";
import { dependenciesAround, Served } from "../../test-support/served.js";
import { createRoutes } from "../http/routes.js";
import { LockError } from "../model/lock-errors.js";

async function startNode() {
  const node = await nodeOfThree();
  const dependencies = dependenciesAround(node.store, { cluster: node.store.cluster });
  return { node, client: createClient(ClusterService, createRouterTransport(createRoutes(dependencies))) };
}

describe("ClusterService", () => {
  test("lists the members, the oldest as the leader", async () => {
    const { client } = await startNode();
    const { members } = await client.listMembers({});
    expect(members.map(({ id, role }) => [id, MemberRole[role]])).toEqual([
      ["n1", "LEADER"],
      ["n2", "FOLLOWER"],
      ["n3", "FOLLOWER"],
    ]);
  });

  test("tells what is known of each", async () => {
    const member = { address: "metasrv-1.example:3002", version: "1.2.3", startedUnixMs: 1_795_331_919_063, level: 1 };
    const cluster = { members: () => [{ id: "a1", member, createRevision: 1n }], watch: () => () => undefined };
    const node = await nodeOfThree();
    const routes = createRoutes(dependenciesAround(node.store, { cluster }));
    const { members } = await createClient(ClusterService, createRouterTransport(routes)).listMembers({});
    expect(members).toMatchObject([
      { id: "a1", address: "metasrv-1.example:3002", version: "1.2.3", startedUnixMs: 1_795_331_919_063n },
    ]);
  });

  test("watching tells the members at once, and again when they have changed", async () => {
    const { node, client } = await startNode();
    const abort = new AbortController();
    const watch = client.watchMembers({}, { signal: abort.signal })[Symbol.asyncIterator]();
    const next = async () => {
      const { value } = (await watch.next()) as { value: { members: { id: string }[] } };
      return value.members.map(({ id }) => id);
    };
    expect(await next()).toEqual(["n1", "n2", "n3"]);
    const changed = next();
    node.log.memberGoes("n2");
    node.log.deliver();
    expect(await changed).toEqual(["n1", "n3"]);
    abort.abort();
    await expect(watch.next()).rejects.toMatchObject({ code: Code.Canceled });
  });

  test("is unavailable before the store was read", async () => {
    const cluster = {
      members: () => {
        throw new LockError("store-unavailable", "the store was not read yet");
      },
      watch: () => () => undefined,
    };
    const node = await nodeOfThree();
    const routes = createRoutes(dependenciesAround(node.store, { cluster }));
    const client = createClient(ClusterService, createRouterTransport(routes));
    const failure = await client.listMembers({}).catch((error: unknown) => error);
    expect(failure).toMatchObject({ message: "[unavailable] the store was not read yet" });
    const watch = client.watchMembers({})[Symbol.asyncIterator]();
    await expect(watch.next()).rejects.toMatchObject({ message: "[unavailable] the store was not read yet" });
  });

  test("a watch ends when the server stops, and says so", async () => {
    await using served = await Served.start();
    const client = createClient(ClusterService, createGrpcTransport({ baseUrl: served.url }));
    const watch = client.watchMembers({})[Symbol.asyncIterator]();
    const first = (await watch.next()) as { value: { members: unknown[] } };
    expect(first.value.members).toMatchObject([{ id: "memory", role: MemberRole.LEADER }]);
    const ended = watch.next().catch((error: unknown) => error);
    await served.stop();
    const error = (await ended) as { findDetails(schema: typeof ErrorDetailSchema): { reason: Reason }[] };
    expect(error.findDetails(ErrorDetailSchema)).toMatchObject([{ reason: Reason.SHUTTING_DOWN }]);
    expect(served.shutdownListeners).toBe(0);
  });
});
