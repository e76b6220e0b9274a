import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import {
  InspectService,
  ListLocksRequestSchema,
  ListLocksResponseSchema,
  LockService,
} from "@metasrv/proto/metasrv/v1";
import { rawRequest, Served } from "../../test-support/served.js";

// A page token is longer than what Connect leaves uncompressed.
const longest = "z".repeat(900);
const names = ["a", "b/é", "c", longest, `${longest}z`];

let served: Served;

beforeAll(async () => {
  served = await Served.start();
  const locks = createClient(LockService, createConnectTransport({ baseUrl: served.url, httpVersion: "1.1" }));
  for (const [at, name] of names.entries()) {
    const ticketId = Buffer.alloc(16, at + 1);
    await locks.lock({ lock: { case: "name", value: name }, ticketId, ttlMs: 60_000n });
  }
});

afterAll(async () => {
  await served[Symbol.asyncDispose]();
});

describe("pages of locks are the same", () => {
  const connect = (options: object): Transport =>
    createConnectTransport({ baseUrl: served.url, httpVersion: "1.1", ...options });
  test.each<[string, () => Transport]>([
    ["Connect", () => connect({ acceptCompression: [] })],
    ["Connect with compression", () => connect({})],
    ["Connect over HTTP/2", () => connect({ httpVersion: "2", acceptCompression: [] })],
    ["JSON", () => connect({ useBinaryFormat: false })],
    ["gRPC", () => createGrpcTransport({ baseUrl: served.url })],
    ["gRPC-Web", () => createGrpcWebTransport({ baseUrl: served.url, httpVersion: "1.1" })],
  ])("by %s", async (_, transport) => {
    const inspections = createClient(InspectService, transport());
    const pages: unknown[][] = [];
    let pageToken = "";
    do {
      const page = await inspections.listLocks({ pageSize: 2, pageToken });
      pages.push(page.locks.map(({ lock, state }) => [lock.value, state?.holderCount]));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(pages.flat()).toEqual(names.map((name) => [name, 1]));
    expect(pages.length).toBe(3);
  });

  test("by plain HTTP, as long as it says", async () => {
    const request = toBinary(ListLocksRequestSchema, create(ListLocksRequestSchema, {}));
    const path = `/${InspectService.typeName}/${InspectService.method.listLocks.name}`;
    const headers = { ":path": path, "content-type": "application/proto" };
    const answer = await rawRequest(served.connect(), headers, request);
    expect(Number(answer.headers["content-length"])).toBe(answer.body.byteLength);
    expect(fromBinary(ListLocksResponseSchema, answer.body).locks.map(({ lock }) => lock.value)).toEqual(names);
  });
});
