import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "@jest/globals";
import { findOrInstall, freePorts, leakCheck } from "@metasrv/testing";
import { codeBlocks } from "./code-blocks.js";

const root = resolve(fileURLToPath(new URL("../..", import.meta.url)));

// Those of three etcd members, for clients and for each other, and of three servers.
const ports = ["2379", "2380", "2381", "2382", "2383", "2384", "3002", "3003", "3004"];

test("the commands of the operations guide make a cluster of three servers over three etcd members", async () => {
  const [block] = codeBlocks(await readFile(`${root}/docs/operations.md`, "utf8"));
  const data = await mkdtemp(join(tmpdir(), "metasrv-operations-"));
  const free = await freePorts(ports.length);
  let script = (block?.text ?? "").replaceAll("data/", `${data}/`);
  for (const [index, port] of ports.entries()) {
    expect(script).toContain(port);
    script = script.replaceAll(new RegExp(`\\b${port}\\b`, "gu"), String(free[index]));
  }
  // The program that is found may have another name.
  const etcd = `etcd() { ${JSON.stringify(await findOrInstall("etcd"))} "$@"; }`;
  // A process group of its own, so that what it starts in the background can be ended with it.
  const shell = spawn("bash", ["-ec", `${etcd}\n${script}`], {
    cwd: root,
    env: { ...process.env, NODE_OPTIONS: "", npm_config_loglevel: "error" },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  try {
    const members = await listedMembers(shell.stdout, shell.stderr);
    expect(members.map(({ address }) => address).sort()).toEqual(
      free
        .slice(6)
        .map((port) => `127.0.0.1:${port}`)
        .sort(),
    );
    expect(members.map(({ role }) => role)).toEqual([
      "MEMBER_ROLE_LEADER",
      "MEMBER_ROLE_FOLLOWER",
      "MEMBER_ROLE_FOLLOWER",
    ]);
  } finally {
    if (shell.pid !== undefined) {
      process.kill(-shell.pid, "SIGKILL");
    }
    if (shell.exitCode === null && shell.signalCode === null) {
      await once(shell, "exit");
    }
    await rm(data, { recursive: true, force: true, maxRetries: 10 });
  }
}, 120_000);

/** What the last command prints, among what the servers log. */
async function listedMembers(
  output: Readable,
  errors: Readable,
): Promise<{ readonly address: string; readonly role: string }[]> {
  let printed = "";
  let complained = "";
  errors.on("data", (chunk) => {
    complained = (complained + String(chunk)).slice(-4_000);
  });
  for await (const chunk of output) {
    printed += String(chunk);
    const [list] = /\{"members":\[.*?\]\}/u.exec(printed) ?? [];
    if (list !== undefined) {
      return (JSON.parse(list) as { members: { address: string; role: string }[] }).members;
    }
  }
  throw new Error(`no members were listed; printed were ${printed}, and as errors at last ${complained}`);
}

afterAll(leakCheck());
