import { once } from "node:events";
import { connect, type IncomingHttpHeaders } from "node:http2";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterEach, describe, expect, test } from "@jest/globals";
import { Lock } from "@metasrv/proto/greptime/v1/meta";
import { ErrorDetailSchema, LockService, Reason } from "@metasrv/proto/metasrv/v1";
import { type RunningServer, startServer } from "./server.js";

let server: RunningServer;

async function start(): Promise<string> {
  server = await startServer({ bindAddr: "127.0.0.1:0" });
  return `http://${server.address}`;
}

afterEach(async () => {
  await server.stop();
});

/** Every protocol that the one port speaks, each with its own connections. */
const transports: [string, (baseUrl: string) => Transport][] = [
  ["gRPC", (baseUrl) => createGrpcTransport({ baseUrl })],
  ["gRPC-Web over HTTP/1.1", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
  ["gRPC-Web over HTTP/2", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "2" })],
  ["Connect over HTTP/1.1", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" })],
  ["Connect over HTTP/2", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" })],
  ["Connect JSON", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: false })],
];

/** Resolves once a request waits for the lock. */
async function someoneWaits(transport: Transport, name: string): Promise<void> {
  const client = createClient(LockService, transport);
  for (;;) {
    const { outcome } = await client.lock({ lock: { case: "name", value: name }, waitMs: 0n });
    if (outcome.case === "refused" && outcome.value.state?.waiters === 1) {
      return;
    }
  }
}

describe.each(transports)("%s", (_, createTransport) => {
  test("locks, renews and unlocks", async () => {
    const client = createClient(LockService, createTransport(await start()));
    const lock = { case: "name", value: "orders/42" } as const;
    const { outcome } = await client.lock({ lock, ttlMs: 5_000n });
    if (outcome.case !== "granted") {
      throw new Error("expected a grant");
    }
    const { key } = outcome.value;
    expect((await client.lock({ lock, waitMs: 0n })).outcome.case).toBe("refused");
    expect((await client.renew({ key })).ttlMs).toBe(5_000n);
    await client.unlock({ key });
    const error = await client.unlock({ key }).catch((reason: unknown) => ConnectError.from(reason));
    expect(error).toMatchObject({ code: Code.FailedPrecondition });
    expect((error as ConnectError).findDetails(ErrorDetailSchema)).toMatchObject([{ reason: Reason.NOT_HELD }]);
  });

  test("speaks the original contract", async () => {
    const client = createClient(Lock, createTransport(await start()));
    const { key } = await client.lock({ name: new TextEncoder().encode("lock_name"), expireSecs: 60n });
    await client.unlock({ key });
    await client.unlock({ key });
  });

  test("calls without a body are answered, however many come at once", async () => {
    const client = createClient(Lock, createTransport(await start()));
    const calls = Array.from({ length: 100 }, () => client.lock({}).catch((error: unknown) => error));
    for (const error of await Promise.all(calls)) {
      expect(error).toMatchObject({ code: Code.InvalidArgument });
    }
  });

  test("a message larger than allowed is refused", async () => {
    const client = createClient(LockService, createTransport(await start()));
    const call = client.lock({ lock: { case: "name", value: "a" }, owner: "x".repeat(2_000_000) });
    await expect(call).rejects.toMatchObject({ code: Code.ResourceExhausted });
  });

  test("a long wait is told at once when the server stops", async () => {
    const transport = createTransport(await start());
    const client = createClient(LockService, transport);
    const lock = { case: "name", value: "a" } as const;
    await client.lock({ lock });
    const waiting = client.lock({ lock }).catch((reason: unknown) => ConnectError.from(reason));
    await someoneWaits(transport, "a");
    const stoppedAt = performance.now();
    await server.stop();
    // For so long it would wait for open calls.
    expect(performance.now() - stoppedAt).toBeLessThan(2_500);
    const error = await waiting;
    expect(error).toMatchObject({ code: Code.Unavailable });
    expect((error as ConnectError).findDetails(ErrorDetailSchema)).toMatchObject([{ reason: Reason.SHUTTING_DOWN }]);
  });
});

test("plain HTTP and JSON will do", async () => {
  const url = await start();
  const post = async (rpc: string, body: object) => {
    const response = await fetch(`${url}/metasrv.v1.LockService/${rpc}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: (await response.json()) as Record<string, Record<string, unknown>> };
  };
  const locked = await post("Lock", { name: "orders/42", ttlMs: 60_000 });
  expect(locked).toMatchObject({ status: 200, body: { granted: { ttlMs: "60000" } } });
  const key = locked.body.granted?.key;
  expect(await post("Unlock", { key })).toEqual({ status: 200, body: {} });
  expect(await post("Unlock", { key })).toMatchObject({ status: 400, body: { code: "failed_precondition" } });
  expect(await post("Lock", { name: 42 })).toMatchObject({ status: 400, body: { code: "invalid_argument" } });
  // If the misspelt field were ignored, the call would wait without end.
  const misspelt = await post("Lock", { name: "orders/43", waitMS: 0 });
  expect(misspelt).toMatchObject({ status: 400, body: { code: "invalid_argument" } });
  expect(misspelt.body.message).toContain('"waitMS"');
});

test("many waits share one connection", async () => {
  const waits = 500;
  const baseUrl = await start();
  const client = createClient(LockService, createGrpcTransport({ baseUrl }));
  const lock = { case: "name", value: "a" } as const;
  await client.lock({ lock });
  const waiting = Array.from({ length: waits }, () =>
    client.lock({ lock }).then(
      () => "granted",
      (reason: unknown) => Code[ConnectError.from(reason).code],
    ),
  );
  const { outcome } = await client.lock({ lock, waitMs: 0n });
  expect(outcome.case).toBe("refused");
  await server.stop();
  expect(new Set(await Promise.all(waiting))).toEqual(new Set(["Unavailable"]));
});

test.each(["application/grpc", "application/grpc-web", "application/json", "application/proto"])(
  "of %s, a stranger's request is refused before it has come, and nothing of it is kept",
  async (contentType) => {
    server = await startServer({
      bindAddr: "127.0.0.1:0",
      auth: { principals: [{ name: "billing", tokenSha256: ["0".repeat(64)] }] },
    });
    const session = connect(`http://${server.address}`);
    const stream = session.request({
      ":method": "POST",
      ":path": `/${LockService.typeName}/Lock`,
      "content-type": contentType,
      authorization: "Bearer none",
    });
    // The beginning of a message of 1,000 bytes.
    stream.write(Buffer.from([0, 0, 0, 0x03, 0xe8, 0x0a]));
    stream.resume();
    const trailers: IncomingHttpHeaders[] = [];
    stream.on("trailers", (headers: IncomingHttpHeaders) => trailers.push(headers));
    const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders];
    if (contentType.startsWith("application/grpc")) {
      expect(headers[":status"]).toBe(200);
    } else {
      expect(headers[":status"]).toBe(401);
    }
    await once(stream, "close");
    if (contentType === "application/grpc") {
      expect([headers, ...trailers].find((fields) => "grpc-status" in fields)).toMatchObject({ "grpc-status": "16" });
    }
    session.close();
    await once(session, "close");
  },
);

test("stop can be repeated, and frees the port", async () => {
  const { address } = (await start(), server);
  await Promise.all([server.stop(), server.stop()]);
  server = await startServer({ bindAddr: address });
  expect(server.address).toBe(address);
});

test("a configuration that cannot be read again is a warning at /readyz, until it can be", async () => {
  const input = { bindAddr: "127.0.0.1:0" };
  let fault: Error | undefined = new Error("the file names the principal billing twice");
  const reread = () => {
    if (fault !== undefined) {
      throw fault;
    }
    return input;
  };
  server = await startServer(input, { reread });
  const ready = async () => (await fetch(`http://${server.address}/readyz`)).text();
  expect(await ready()).toBe("ready\n");
  await server.reload();
  expect(await ready()).toBe(
    "ready\nwarning: the configuration was not read again, the one before stays in force: the log says why\n",
  );
  fault = undefined;
  await server.reload();
  expect(await ready()).toBe("ready\n");
});
