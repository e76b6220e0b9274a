import { Code, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, test } from "@jest/globals";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "@metasrv/proto/grpc/health/v1";
import { ManualClock } from "@metasrv/wire/testing";
import { createHealthService } from "./health-service.js";
import { Readiness } from "./readiness.js";

function setUp() {
  const problems: string[] = [];
  const readiness = new Readiness({ clock: new ManualClock(), problems: () => problems });
  const transport = createRouterTransport((router) => {
    router.service(Health, createHealthService(readiness, ["a.A", "b.B"]));
  });
  return { problems, readiness, client: createClient(Health, transport) };
}

describe("Health", () => {
  test("checks a service, and the server as a whole", async () => {
    const { problems, client } = setUp();
    expect((await client.check({})).status).toBe(ServingStatus.SERVING);
    expect((await client.check({ service: "a.A" })).status).toBe(ServingStatus.SERVING);
    problems.push("etcd is away");
    expect((await client.check({})).status).toBe(ServingStatus.NOT_SERVING);
    expect((await client.check({ service: "b.B" })).status).toBe(ServingStatus.NOT_SERVING);
  });

  test("says NOT_FOUND of a service that there is not, and which ones there are", async () => {
    const { client } = setUp();
    await expect(client.check({ service: "c.C" })).rejects.toMatchObject({
      message: '[not_found] there is no service "c.C"; ask for one of a.A, b.B, or for "", the server as a whole',
    });
  });

  test("lists them all", async () => {
    const { client } = setUp();
    const { statuses } = await client.list({});
    expect(Object.entries(statuses).map(([name, { status }]) => [name, status])).toEqual([
      ["", ServingStatus.SERVING],
      ["a.A", ServingStatus.SERVING],
      ["b.B", ServingStatus.SERVING],
    ]);
  });

  test("watching tells the status at once, and again when it has changed", async () => {
    const { problems, readiness, client } = setUp();
    const abort = new AbortController();
    const watch = client.watch({ service: "a.A" }, { signal: abort.signal })[Symbol.asyncIterator]();
    expect(await watch.next()).toMatchObject({ value: { status: ServingStatus.SERVING } });
    const next = watch.next();
    problems.push("it is stopping");
    readiness.look();
    expect(await next).toMatchObject({ value: { status: ServingStatus.NOT_SERVING } });
    abort.abort();
    await expect(watch.next()).rejects.toThrow();
  });

  test("watching a service that there is not says so, and goes on", async () => {
    const { client } = setUp();
    const abort = new AbortController();
    const watch = client.watch({ service: "c.C" }, { signal: abort.signal })[Symbol.asyncIterator]();
    expect(await watch.next()).toMatchObject({ value: { status: ServingStatus.SERVICE_UNKNOWN } });
    const next = watch.next();
    abort.abort();
    await expect(next).rejects.toMatchObject({ code: Code.Canceled });
  });
});
