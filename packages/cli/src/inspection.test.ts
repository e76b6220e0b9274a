import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { leakCheck, type Metasrv, startMetasrv } from "@metasrv/testing";
import { Metactl, metactl } from "../test-support/metactl.js";

const checkLeaks = leakCheck();
const timeoutMs = 60_000;
const hostile = "evil\u001b[2J\r\n\u009b31m\u202e";

let server: Metasrv;
let holder: Metactl;
let waiter: Metactl;

beforeAll(async () => {
  server = await startMetasrv();
  holder = Metactl.start({ args: ["hold", hostile], url: server.url });
  await holder.written(/"token"/);
  waiter = Metactl.start({ args: ["run", "--name", hostile, "--json", "--", "true"], url: server.url });
  await waiter.written(/"event":"waiting"/, 2);
}, timeoutMs);

const call = async (...args: string[]) => metactl({ args, url: server.url });

/** Whether there is a character that a terminal could obey, besides the ends of lines. */
const hasControls = (text: string) => /[^\P{C}\n]/u.test(text);

test.each([["ls"], ["show", hostile], ["blocked"], ["members"]])(
  "%s prints a table without characters that control a terminal",
  async (...args) => {
    const { code, stdout } = await call(...args);
    expect(code).toBe(0);
    expect(hasControls(stdout)).toBe(false);
    if (args[0] !== "members") {
      expect(stdout).toContain(String.raw`evil\u{1b}[2J\u{d}\u{a}\u{9b}31m\u{202e}`);
    }
  },
  timeoutMs,
);

test.each([["ls"], ["show", hostile], ["blocked"], ["members"]])(
  "%s --json prints one object a line, which is true to what there is",
  async (...args) => {
    const { code, stdout } = await call(...args, "--json");
    expect(code).toBe(0);
    expect(hasControls(stdout)).toBe(false);
    const [row, ...others] = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown);
    expect(others).toEqual([]);
    expect(row).toMatchObject(
      args[0] === "members"
        ? { address: server.address, role: "leader" }
        : { name: hostile, waiters: 1, holderCount: 1 },
    );
  },
  timeoutMs,
);

test(
  "watch tells what there is, and each change",
  async () => {
    await using watch = Metactl.start({ args: ["watch", "seen/"], url: server.url });
    await using _json = Metactl.start({ args: ["watch", "seen/", "--json"], url: server.url });
    await using seen = Metactl.start({ args: ["hold", "seen/a"], url: server.url });
    await watch.written(/^seen\/a {2}exclusive, held by \S+:\d+\n/m);
    await _json.written(/^\{"name":"seen\/a","mode":"exclusive"/m);
    seen.kill("SIGTERM");
    await watch.written(/^seen\/a {2}free\n/m);
    await _json.written(/^\{"name":"seen\/a","removed":true\}\n/m);
  },
  timeoutMs,
);

test(
  "colours are for a terminal, unless NO_COLOR is set",
  async () => {
    const env = { TERM: "xterm" };
    await using plain = Metactl.startAtTerminal({ args: ["ls"], url: server.url, env: { ...env, NO_COLOR: "1" } });
    await using coloured = Metactl.startAtTerminal({ args: ["ls"], url: server.url, env: { ...env, NO_COLOR: "" } });
    expect((await plain.ended).stdout).not.toContain("\x1b");
    expect((await coloured.ended).stdout).toContain("\x1b[1mNAME");
  },
  timeoutMs,
);

test(
  "release asks for the name, and does nothing for another",
  async () => {
    const args = ["release", "asked", "--reason", "test"];
    await using asked = Metactl.start({ args: ["hold", "asked"], url: server.url });
    const [, own = ""] = await asked.written(/"token":"(\d+)"/);
    expect(await call(...args, "--token", own)).toMatchObject({ code: 64 });
    for (const [typed, code] of [
      ["other", 1],
      ["asked", 0],
    ] as const) {
      await using release = Metactl.startAtTerminal({ args: [...args, "--token", own], url: server.url });
      await release.written(/Type the name of the lock to release it by force: /);
      release.write(`${typed}\r`);
      expect((await release.ended).code).toBe(code);
    }
    expect(await asked.ended).toMatchObject({ code: 79 });
    expect(await call(...args, "--token", own, "--yes")).toMatchObject({ code: 1 });
  },
  timeoutMs,
);

test(
  "lead runs its command again after a lost term",
  async () => {
    const script = 'echo "term <$METASRV_LOCK_TOKEN>"; exec sleep 300';
    await using lead = Metactl.start({ args: ["lead", "head", "--", "sh", "-c", script], url: server.url });
    const [, first = ""] = await lead.written(/<(\d+)>/);
    expect(await call("release", "head", "--token", first, "--reason", "test", "--yes")).toMatchObject({ code: 0 });
    await lead.written(/<(\d+)>\n.*<(\d+)>/);
    lead.kill("SIGTERM");
    expect(await lead.ended).toMatchObject({ code: 143 });
  },
  timeoutMs,
);

test.each([
  ["while its command is stopped", "lost", "trap '' TERM; "],
  ["before its next term", "exited", ""],
])(
  "a signal that comes to lead %s ends it",
  async (_when, event, deaf) => {
    const script = `${deaf}echo "term <$METASRV_LOCK_TOKEN>"; while :; do sleep 0.1; done`;
    const args = ["lead", `head-${event}`, "--ttl", "10s", "--grace", "1s", "--json", "--", "sh", "-c", script];
    await using lead = Metactl.start({ args, url: server.url });
    const [, token = ""] = await lead.written(/<(\d+)>/);
    const force = ["release", `head-${event}`, "--token", token, "--reason", "test", "--yes"];
    expect(await call(...force)).toMatchObject({ code: 0 });
    await lead.written(new RegExp(`"event":"${event}"`), 2);
    lead.kill("SIGTERM");
    expect(await lead.ended).toMatchObject({ code: 143, stdout: expect.stringMatching(/^term <\d+>\n$/) as unknown });
  },
  timeoutMs,
);

test(
  "a profile names the servers, and an unknown key is an error",
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "metactl-profiles-"));
    const env = { XDG_CONFIG_HOME: folder };
    await mkdir(join(folder, "metasrv"));
    const write = async (text: string) => writeFile(join(folder, "metasrv", "cli.yaml"), text);
    await write(`profile: here\nprofiles:\n  here: { endpoints: ["${server.url}"] }\n  bad: { endpoint: x }\n`);
    expect(await metactl({ args: ["members"], env })).toMatchObject({ code: 0 });
    const bad = await metactl({ args: ["members", "--profile", "bad"], env });
    expect(bad.stderr).toContain('profile "bad" has the unknown key "endpoint"');
    expect(bad.code).toBe(78);
    await write("profiles: [");
    expect(await metactl({ args: ["members"], env })).toMatchObject({ code: 78 });
    await rm(folder, { recursive: true });
  },
  timeoutMs,
);

test(
  "bash completes commands and their options",
  async () => {
    const { stdout } = await call("completion", "bash");
    const complete = (...words: string[]) => {
      const list = words.map((word) => `'${word}'`).join(" ");
      const script = `${stdout}\nCOMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _metactl; echo "\${COMPREPLY[@]}"`;
      return spawnSync("bash", ["-c", script], { encoding: "utf8" }).stdout.trim();
    };
    expect(complete("metactl", "re")).toBe("release");
    expect(complete("metactl", "--json", "run", "--sh")).toBe("--shared");
    expect(complete("metactl", "completion", "f")).toBe("fish");
  },
  timeoutMs,
);

afterAll(async () => {
  await waiter[Symbol.asyncDispose]();
  await holder[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await checkLeaks();
});
