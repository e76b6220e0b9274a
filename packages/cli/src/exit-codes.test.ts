import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import {
  createCertificateAuthority,
  createSelfSignedCertificate,
  leakCheck,
  type Metasrv,
  startMetasrv,
} from "@metasrv/testing";
import { bin, Metactl, metactl } from "../test-support/metactl.js";

const checkLeaks = leakCheck();
const timeoutMs = 60_000;

let server: Metasrv;
let folder: string;

beforeAll(async () => {
  server = await startMetasrv();
  folder = await mkdtemp(join(tmpdir(), "metactl-"));
});

const run = async (...args: string[]) => metactl({ args: ["run", ...args], url: server.url });

/** Runs `body` while another process holds the lock. */
async function whileHeld(name: string, body: () => Promise<void>): Promise<void> {
  await using holder = Metactl.start({ args: ["hold", name], url: server.url });
  await holder.written(/"token"/);
  await body();
  holder.kill("SIGTERM");
  expect(await holder.ended).toMatchObject({ code: 0, signal: null });
}

describe("metactl run ends", () => {
  test.each([0, 1, 75, 255])(
    "as its child does, with %d",
    async (code) => {
      const ended = await run("--name", "own", "--", "sh", "-c", `echo out; echo err >&2; exit ${code}`);
      expect(ended).toMatchObject({ code, signal: null, stdout: "out\n", stderr: "err\n" });
    },
    timeoutMs,
  );

  test(
    "with 128+n when a signal ended its child",
    async () => {
      expect(await run("--name", "own", "--", "sh", "-c", "kill -KILL $$")).toMatchObject({ code: 137 });
    },
    timeoutMs,
  );

  test.each([
    [["--", "true"], "required option '--name <name>' not specified"],
    [["--name", "x"], "missing required argument 'command'"],
    [["--name", "x", "--wait", "3", "true"], "such as 500ms, 30s, 2m or 1h"],
    [["--name", "x", "--try", "--wait", "3s", "true"], "cannot be used with option"],
    [["--name", "x", "--permits", "2", "true"], "--permits needs --limit"],
    [["--name", "x", "--ttl", "10s", "--grace", "5s", "true"], "must be half of --ttl (10000 ms) at most"],
    [["--name", "x", "--ttl", "10s", "--grace", "5s", "true"], "Give --ttl 11000ms or more, or a shorter --grace"],
    [["--name", "x", "--limit", "4294967295", "true"], "Expected a whole number from 1 to 4294967294."],
    [["--name", "x", "--name", "x", "true"], 'locks must have different names, but has lock "x" twice.'],
    [["--name", "x", "--events-fd", "200", "true"], "descriptor 200 is not open"],
    [["--name", "x".repeat(1025), "true"], "1024"],
    [["--name", "x", "--nonsense", "true"], "unknown option '--nonsense'"],
  ])(
    "with 64 for the wrong use %j",
    async (args, message) => {
      const ended = await run(...args);
      expect(ended.stderr).toContain(message);
      expect(ended.code).toBe(64);
    },
    timeoutMs,
  );

  test(
    "with 78 and its own options in the client's words",
    async () => {
      const { cert } = await createSelfSignedCertificate({ hosts: ["127.0.0.1"] });
      const file = join(folder, "certificate.pem");
      await writeFile(file, cert);
      const alone = await run("--name", "x", "--endpoints", "https://x", "--cert", file, "--", "true");
      expect(alone.stderr).toContain("--cert is given without --key");
      expect(alone.code).toBe(78);
      const plaintext = await run("--name", "x", "--ca", file, "--", "true");
      expect(plaintext.stderr).toContain("--ca, --cert or --key is given, but no endpoint uses TLS");
      expect(plaintext.code).toBe(78);
    },
    timeoutMs,
  );

  test.each([
    [
      ["--endpoints", "127.0.0.1:1"],
      '--endpoints must be a URL such as "http://127.0.0.1:3002" (write "http://127.0.0.1:1")',
    ],
    [["--ca", bin], "metactl.js is no PEM file"],
    [["--ca", "/nonexistent/ca.pem"], "--ca: the file cannot be read"],
    [["--token-file", "/nonexistent/token"], "--token-file: the file cannot be read"],
    [["--profile", "none"], 'no profile "none"'],
  ])(
    "with 78 for the setting %j",
    async (args, message) => {
      const ended = await run("--name", "x", ...args, "--", "true");
      expect(ended.stderr).toContain(message);
      expect(ended.code).toBe(78);
    },
    timeoutMs,
  );

  test.each([
    [[], "Check that metasrv runs"],
    [["--try", "-E", "0"], "Check that metasrv runs"],
    [["--wait", "100ms", "-E", "0"], "no server has answered by then"],
  ])(
    "with 69 when no server can be reached, %j",
    async (args, message) => {
      const ended = await metactl({ args: ["run", "--name", "x", ...args, "--", "true"], url: "http://127.0.0.1:9" });
      expect(ended.stderr).toContain(message);
      expect(ended.code).toBe(69);
    },
    timeoutMs,
  );

  test(
    "with 77 when the server does not accept the certificate, or there being none",
    async () => {
      const authority = await createCertificateAuthority();
      const own = await authority.issue({ hosts: ["127.0.0.1"] });
      const foreign = await (await createCertificateAuthority()).issue({ commonName: "somebody" });
      const texts = { "ca.pem": authority.cert, "cert.pem": own.cert, "key.pem": own.key };
      const files = { ...texts, "foreign.pem": foreign.cert, "foreign.key": foreign.key };
      for (const [name, text] of Object.entries(files)) {
        await writeFile(join(folder, name), text);
      }
      const at = (name: string) => join(folder, name);
      await using secured = await startMetasrv({
        args: ["--tls-cert", at("cert.pem"), "--tls-key", at("key.pem"), "--tls-client-ca", at("ca.pem")],
      });
      const url = `https://${secured.address}`;
      const waits = ["run", "--name", "x", "--wait", "2s", "-E", "0", "--ca", at("ca.pem")];
      const alone = await metactl({ args: [...waits, "--", "true"], url });
      expect(alone.stderr).toContain("only clients with a certificate");
      expect(alone.code).toBe(77);
      const shown = ["--cert", at("foreign.pem"), "--key", at("foreign.key")];
      expect(await metactl({ args: [...waits, ...shown, "--", "true"], url })).toMatchObject({ code: 77 });
      expect(await metactl({ args: ["ls", "--ca", at("ca.pem")], url })).toMatchObject({ code: 77 });
    },
    timeoutMs,
  );

  test(
    "with 75, or with what -E says, when it was not granted",
    async () => {
      await whileHeld("taken", async () => {
        expect(await run("--name", "taken", "--try", "--", "true")).toMatchObject({ code: 75 });
        expect(await run("--name", "taken", "--wait", "100ms", "--", "true")).toMatchObject({ code: 75 });
        const ended = await run("--name", "free", "--name", "taken", "--try", "-E", "0", "--", "true");
        expect(ended).toMatchObject({ code: 0, stderr: "metactl: one of the locks is taken\n" });
      });
    },
    timeoutMs,
  );

  test(
    "with 79 when the lock was lost while its child ran",
    async () => {
      await using running = Metactl.start({
        args: ["run", "--name", "forced", "--", "sh", "-c", 'echo "<$METASRV_LOCK_TOKEN>"; exec sleep 60'],
        url: server.url,
      });
      const [, token = ""] = await running.written(/<(\d+)>/);
      const args = ["release", "forced", "--token", token, "--reason", "it hangs", "--yes"];
      expect(await metactl({ args, url: server.url })).toMatchObject({ code: 0 });
      const ended = await running.ended;
      expect(ended).toMatchObject({ code: 79 });
      expect(ended.stderr).toContain('"it hangs"');
    },
    timeoutMs,
  );

  test(
    "with 126 for what cannot be executed and 127 for what is not there, and gives the lock back",
    async () => {
      const file = join(folder, "plain");
      await writeFile(file, "#!/bin/sh\n");
      await chmod(file, 0o644);
      expect(await run("--name", "start", "--", file)).toMatchObject({ code: 126 });
      expect(await run("--name", "start", "--try", "--", join(folder, "none"))).toMatchObject({ code: 127 });
      expect(await run("--name", "start", "--try", "--", "true")).toMatchObject({ code: 0 });
    },
    timeoutMs,
  );
});

const shell = (line: string) => Metactl.startOther("sh", { args: ["-c", line], url: server.url });
const program = `"${process.execPath}" "${bin}"`;

test.each(["ls --json", "members", "show none", "completion bash", "--help"])(
  "%s ends with 74 when its output cannot be written",
  async (args) => {
    await whileHeld("shown", async () => {
      await using running = shell(`exec ${program} ${args} >/dev/full`);
      const { code, stderr } = await running.ended;
      expect(stderr).toContain("the output cannot be written: ENOSPC");
      expect(code).toBe(74);
    });
  },
  timeoutMs,
);

test(
  "who has read enough of its output is told nothing of that",
  async () => {
    await using running = shell(`{ ${program} members; echo "$?" >&2; } | true`);
    expect(await running.ended).toMatchObject({ code: 0, stdout: "", stderr: "0\n" });
  },
  timeoutMs,
);

test(
  "events tell an exit code of the child from one of metactl",
  async () => {
    const args = ["run", "--name", "events", "--events-fd", "3", "--", "sh", "-c", "exit 75"];
    await using running = Metactl.start({ args, url: server.url, pipes: 1 });
    expect((await running.ended).code).toBe(75);
    const events = running
      .read(3)
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown);
    expect(events).toEqual([
      expect.objectContaining({
        event: "granted",
        names: ["events"],
        token: expect.stringMatching(/^\d+$/) as unknown,
      }),
      { event: "exited", code: 75, signal: null, reason: "ended" },
    ]);
  },
  timeoutMs,
);

test(
  "a run inside of a run has the values of its own lock, and the key comes by a descriptor only",
  async () => {
    const inner = 'echo "$METASRV_LOCK_NAME $METASRV_LOCK_TOKEN"; cat <&5; env';
    const ended = await run(
      "--name",
      "outer",
      "--",
      process.execPath,
      bin,
      "run",
      "--name",
      "inner",
      "--key-fd",
      "5",
      "--",
      "sh",
      "-c",
      inner,
    );
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    const [first = "", key = ""] = ended.stdout.split("\n");
    expect(first).toMatch(/^inner \d+$/);
    expect(Buffer.from(key, "base64").length).toBeGreaterThan(16);
    expect(ended.stdout.split(key).length).toBe(2);
  },
  timeoutMs,
);

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
  await checkLeaks();
});
