import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { leakCheck, type Metasrv, startMetasrv } from "@metasrv/testing";

const buf = fileURLToPath(new URL("../../node_modules/.bin/buf", import.meta.url));

let node: Metasrv;
/** A folder without .proto files. */
let nowhere: string;

beforeAll(async () => {
  node = await startMetasrv();
  nowhere = await mkdtemp(join(tmpdir(), "metasrv-reflection-"));
});

/** The output of a gRPC client that knows of the service only what the server tells. */
async function bufCurl(path: string, ...args: string[]): Promise<string> {
  const options = ["curl", "--http2-prior-knowledge", "--protocol", "grpc", ...args, `${node.url}${path}`];
  const { stdout } = await promisify(execFile)(buf, options, { cwd: nowhere, timeout: 30_000 });
  return stdout;
}

test("a client without .proto files finds all methods", async () => {
  expect((await bufCurl("", "--list-methods")).trim().split("\n")).toEqual([
    "greptime.v1.meta.Lock/Lock",
    "greptime.v1.meta.Lock/Unlock",
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/List",
    "grpc.health.v1.Health/Watch",
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "metasrv.v1.AdminService/ForceRelease",
    "metasrv.v1.AdminService/ListForced",
    "metasrv.v1.ClusterService/ListMembers",
    "metasrv.v1.ClusterService/WatchMembers",
    "metasrv.v1.InspectService/GetLock",
    "metasrv.v1.InspectService/ListBlocked",
    "metasrv.v1.InspectService/ListLocks",
    "metasrv.v1.InspectService/WatchLock",
    "metasrv.v1.InspectService/WatchLocks",
    "metasrv.v1.LockService/Attach",
    "metasrv.v1.LockService/Lock",
    "metasrv.v1.LockService/Renew",
    "metasrv.v1.LockService/Send",
    "metasrv.v1.LockService/Session",
    "metasrv.v1.LockService/Unlock",
  ]);
});

test("and calls them", async () => {
  const lock = await bufCurl("/metasrv.v1.LockService/Lock", "--data", '{"name": "orders/42", "ttlMs": 5000}');
  const { granted } = JSON.parse(lock) as { readonly granted: { readonly key: string; readonly ttlMs: string } };
  expect(granted.ttlMs).toBe("5000");
  expect(
    JSON.parse(await bufCurl("/metasrv.v1.LockService/Unlock", "--data", JSON.stringify({ key: granted.key }))),
  ).toEqual({});
  const health = await bufCurl("/grpc.health.v1.Health/Check", "--data", '{"service": "metasrv.v1.LockService"}');
  expect(JSON.parse(health)).toEqual({ status: "SERVING" });
  const members = JSON.parse(await bufCurl("/metasrv.v1.ClusterService/ListMembers")) as unknown;
  expect(members).toMatchObject({ members: [{ address: node.address, role: "MEMBER_ROLE_LEADER" }] });
});

afterAll(async () => {
  await node[Symbol.asyncDispose]();
  await rm(nowhere, { recursive: true, force: true });
});
afterAll(leakCheck());
