import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { leakCheck } from "./leak-check.js";
import type { TcpProxy } from "./tcp-proxy.js";
import { startTcpProxy } from "./tcp-proxy.js";
import { until } from "./until.js";

// A server that sends back what it gets, and remembers it.
const echo = createServer((socket) => {
  socket.on("data", (chunk) => {
    seenByTarget += chunk.toString();
    socket.write(chunk);
  });
  socket.on("error", () => undefined);
});
let seenByTarget = "";
let proxy: TcpProxy;
let client: Socket;
let seenByClient = "";

async function open(): Promise<Socket> {
  const socket = connect(Number(proxy.address.split(":")[1]), "127.0.0.1");
  socket.on("data", (chunk) => (seenByClient += chunk.toString()));
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

async function received(text: string): Promise<void> {
  await until(() => seenByClient === text, { what: `${text}, not ${seenByClient}` });
}

beforeEach(async () => {
  seenByTarget = "";
  seenByClient = "";
  echo.listen(0, "127.0.0.1");
  await once(echo, "listening");
  proxy = await startTcpProxy({ target: `127.0.0.1:${(echo.address() as AddressInfo).port}` });
  client = await open();
});

afterEach(async () => {
  client.destroy();
  await proxy[Symbol.asyncDispose]();
  echo.close();
  await once(echo, "close");
});

describe("startTcpProxy", () => {
  test("passes bytes on and counts them", async () => {
    client.write("hello");
    await received("hello");
    expect(proxy.bytes).toEqual({ toTarget: 5, toClient: 5 });
    expect(proxy.connections).toBe(1);
    client.end();
    await once(client, "close");
    await until(() => proxy.connections === 0, { what: "the connection to be gone" });
  });

  test("holds back one direction only, and lets go in order", async () => {
    proxy.pause("toClient");
    client.write("a");
    await until(() => seenByTarget === "a", { what: "the target to get it" });
    client.write("b");
    await sleep(50);
    expect(seenByClient).toBe("");
    proxy.resume("toClient");
    await received("ab");

    proxy.pause("toTarget");
    client.write("c");
    await sleep(50);
    expect(seenByTarget).toBe("ab");
    proxy.resume("toTarget");
    await received("abc");
  });

  test("a pause holds for connections made during it, and hides that the target is gone", async () => {
    proxy.pause("toTarget");
    proxy.pause("toClient");
    client.destroy();
    client = await open();
    client.write("a");
    await sleep(50);
    expect(seenByTarget).toBe("");
    proxy.resume("toTarget");
    proxy.resume("toClient");
    await received("a");
  });

  test("delays", async () => {
    proxy.setLatency("toTarget", 60);
    proxy.setLatency("toClient", 60);
    const start = performance.now();
    client.write("a");
    await sleep(10);
    client.write("b");
    await received("ab");
    expect(performance.now() - start).toBeGreaterThanOrEqual(120);
  });

  test("cuts, and then accepts again", async () => {
    const closed = once(client, "close");
    proxy.cut();
    await closed;
    client = await open();
    client.write("a");
    await received("a");
  });

  test("refuses new connections but keeps those of now", async () => {
    proxy.refuse();
    await expect(open()).rejects.toThrow("ECONNREFUSED");
    client.write("a");
    await received("a");
    await proxy.accept();
    client.destroy();
    client = await open();
  });

  test("cuts after exactly so many bytes", async () => {
    const closed = once(client, "close");
    const cut = proxy.cutAfterBytes(3);
    client.write("ab");
    await received("ab");
    client.write("cd");
    await cut;
    await closed;
    await until(() => seenByTarget === "abc", { what: "the target to get the last byte" });
    expect(proxy.bytes.toTarget).toBe(3);
  });

  test("passes more than fits into the buffers", async () => {
    let length = 0;
    client.on("data", (chunk) => (length += chunk.length));
    client.write(Buffer.alloc(20_000_000, "x"));
    await until(() => length === 20_000_000, { what: "all of it" });
  });
});

afterAll(leakCheck());
