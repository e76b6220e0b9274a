import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { findOrInstall } from "./tools.js";

const env = { ...process.env };
let cache: string;

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), "metasrv-cache-"));
  process.env.XDG_CACHE_HOME = cache;
  delete process.env.ETCD_BIN;
});

afterEach(async () => {
  process.env = { ...env };
  await rm(cache, { recursive: true });
});

test("finds an etcd that runs", async () => {
  const { stdout } = await promisify(execFile)(await findOrInstall("etcd"), ["--version"]);
  expect(stdout).toContain("etcd Version");
});

test("prefers the one that the environment names, and does not fall back when it is not there", async () => {
  process.env.ETCD_BIN = process.execPath;
  expect(await findOrInstall("etcd")).toBe(process.execPath);
  process.env.ETCD_BIN = "/no/such/etcd";
  await expect(findOrInstall("etcd")).rejects.toThrow("ETCD_BIN is set to /no/such/etcd, which is no executable file");
});

test("says what to install where there is no apt-get", async () => {
  process.env.PATH = "/no/such/folder";
  await expect(findOrInstall("etcd")).rejects.toThrow(
    "etcd is needed: install it (Debian: apt-get install etcd-server) or set ETCD_BIN to its path",
  );
});
