import { createHash } from "node:crypto";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { createCertificateAuthority, leakCheck, type Metasrv, startMetasrv, until } from "@metasrv/testing";
import { Metactl, metactl } from "../test-support/metactl.js";

const checkLeaks = leakCheck();
const timeoutMs = 60_000;
const token = "a token of the principal ops".replaceAll(" ", "-");
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

let folder: string;
let server: Metasrv;
let url: string;
let files: Readonly<Record<"ca" | "server" | "serverKey" | "client" | "clientKey" | "token" | "other", string>>;

const write = async (name: string, text: string): Promise<string> => {
  const path = join(folder, name);
  await writeFile(path, text, { mode: 0o600 });
  return path;
};

/** A server with TLS, where the principal ops may lock and inspect what begins with `orders/`. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "metactl-tokens-"));
  const authority = await createCertificateAuthority();
  const own = await authority.issue({ hosts: ["127.0.0.1"], usages: ["server"] });
  const client = await authority.issue({ uris: ["spiffe://corp/oncall"], usages: ["client"] });
  files = {
    ca: await write("ca.pem", authority.cert),
    server: await write("server.pem", own.cert),
    serverKey: await write("server-key.pem", own.key),
    client: await write("client.pem", client.cert),
    clientKey: await write("client-key.pem", client.key),
    token: await write("token", `${token}\n`),
    other: await write("other", "of-nobody"),
  };
  const config = {
    tls: { cert: files.server, key: files.serverKey },
    auth: {
      principals: [{ name: "ops", tokenSha256: [sha256(token)] }],
      roles: { ops: [{ prefix: "orders/", allow: ["lock", "inspect"] }] },
    },
  };
  server = await startMetasrv({ args: ["--config", await write("config.yaml", JSON.stringify(config))] });
  url = server.url.replace("http:", "https:");
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
  await checkLeaks();
});

const ask = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  metactl({ args, url, env: { METASRV_CA: files.ca, ...env } });

const run = ["run", "--name", "orders/1", "--", "echo", "ran"];

test(
  "a token in a file lets metactl in",
  async () => {
    expect(await ask(run, { METASRV_TOKEN_FILE: files.token })).toMatchObject({ code: 0, stdout: "ran\n", stderr: "" });
    expect(await ask(["ls", "orders/", "--token-file", files.token])).toMatchObject({ code: 0 });
  },
  timeoutMs,
);

test.each([
  ["without a token", [], "neither a token nor a client certificate"],
  ["with a token of nobody", ["--token-file", "other"], "the token is none of a principal"],
])(
  "%s, it ends with 77, and runs nothing",
  async (_, args, message) => {
    const given = args.map((arg) => (arg === "other" ? files.other : arg));
    for (const command of [run, ["ls", "orders/"]]) {
      const [name = "", ...rest] = command;
      const ended = await ask([name, ...given, ...rest]);
      expect(ended.stderr).toContain(message);
      expect(ended).toMatchObject({ code: 77, stdout: "" });
    }
  },
  timeoutMs,
);

test.each([
  [["run", "--name", "other/1", "--", "echo", "ran"], 'the right "lock"'],
  [["show", "other/1"], 'the right "inspect"'],
  [["release", "orders/1", "--token", "1", "--reason", "test", "--yes"], 'the right "force"'],
])(
  "%j ends with 77 without the right",
  async (args, message) => {
    const ended = await ask(args, { METASRV_TOKEN_FILE: files.token });
    expect(ended.stderr).toContain(message);
    expect(ended).toMatchObject({ code: 77, stdout: "" });
  },
  timeoutMs,
);

test(
  "to show a certificate and a token is to be who the token says, and the certificate alone is another",
  async () => {
    const config = {
      tls: { cert: files.server, key: files.serverKey, clientCa: files.ca },
      auth: {
        principals: [
          { name: "ops", tokenSha256: [sha256(token)] },
          { name: "oncall", certificateSan: "spiffe://corp/oncall" },
        ],
        roles: {
          ops: [{ prefix: "orders/", allow: ["lock"] }],
          oncall: [{ prefix: "orders/", allow: ["inspect", "force"] }],
        },
      },
    };
    await using strict = await startMetasrv({ args: ["--config", await write("strict.yaml", JSON.stringify(config))] });
    const own = { url: strict.url.replace("http:", "https:") };
    const env = { METASRV_CA: files.ca, METASRV_CERT: files.client, METASRV_KEY: files.clientKey };
    const withToken = { ...env, METASRV_TOKEN_FILE: files.token };
    await using holder = Metactl.start({ ...own, env: withToken, args: ["hold", "orders/1"] });
    const [, held = ""] = await holder.written(/"token":"(\d+)"/);
    expect(await metactl({ ...own, env: withToken, args: ["ls", "orders/"] })).toMatchObject({ code: 77, stdout: "" });
    expect(await metactl({ ...own, env, args: run })).toMatchObject({ code: 77, stdout: "" });
    const release = ["release", "orders/1", "--token", held, "--reason", "it hangs", "--yes"];
    expect(await metactl({ ...own, env, args: release })).toMatchObject({ code: 0 });
    expect(await holder.ended).toMatchObject({ code: 79 });
  },
  timeoutMs,
);

test(
  "a token is read again when the file has another one, also after it had none, and a wait and a hold go on",
  async () => {
    const config = (accepted: string) => ({
      auth: {
        principals: [{ name: "ops", tokenSha256: [sha256(accepted)] }],
        roles: { ops: [{ prefix: "", allow: ["lock", "inspect"] }] },
      },
    });
    const ttlMs = 6_000;
    const path = await write("rotated.yaml", JSON.stringify(config("first")));
    const file = await write("rotated", "first\n");
    await using own = await startMetasrv({ args: ["--config", path] });
    const of = (args: readonly string[]) => ({ args, url: own.url, env: { METASRV_TOKEN_FILE: file } });
    await using holder = Metactl.start(of(["hold", "x", "--ttl", `${ttlMs}ms`]));
    await holder.written(/"token"/);
    await using waiting = Metactl.start(of(["run", "--name", "x", "--json", "--", "echo", "ran"]));
    await waiting.written(/"event":"waiting"/, 2);
    await write("rotated", "");
    await write("rotated.yaml", JSON.stringify(config("second")));
    await own.kill("SIGHUP");
    const first = await write("rotated-first", "first");
    const asFirst = { args: ["show", "x"], url: own.url, env: { METASRV_TOKEN_FILE: first } };
    await until(async () => (await metactl(asFirst)).code === 77, {
      what: "no right by the first token",
    });
    await write("rotated", "second\n");
    const changedMs = performance.now();
    // Once it has held for longer than its TTL since then, the holder has renewed with the new token.
    await until(
      async () => {
        const { stdout } = await metactl(of(["show", "x", "--json"]));
        const { holders, waiters } = JSON.parse(stdout) as { holders: object[]; waiters: number };
        expect([holders.length, waiters]).toEqual([1, 1]);
        return performance.now() - changedMs > ttlMs;
      },
      { what: "the holder to have renewed", intervalMs: 200 },
    );
    holder.kill("SIGTERM");
    expect(await holder.ended).toMatchObject({ code: 0 });
    expect(await waiting.ended).toMatchObject({ code: 0, stdout: "ran\n" });
  },
  timeoutMs,
);

test(
  "a file that every user can read is warned of once, unless metactl is to be quiet",
  async () => {
    const open = await write("open", token);
    await chmod(open, 0o644);
    const warned = await ask(run, { METASRV_TOKEN_FILE: open });
    expect(warned).toMatchObject({ code: 0, stdout: "ran\n" });
    expect(warned.stderr).toBe(
      `metactl: --token-file: every user of this machine can read ${open}. Take that right away: chmod o-r\n`,
    );
    const [name = "", ...rest] = run;
    expect(await ask([name, "-q", ...rest], { METASRV_TOKEN_FILE: open })).toMatchObject({ code: 0, stderr: "" });
  },
  timeoutMs,
);

test.each([
  ["", "is empty"],
  ["\n", "is empty"],
  ["two words", "several words"],
])(
  "a file with %j ends metactl with 78",
  async (text, message) => {
    const ended = await ask(run, { METASRV_TOKEN_FILE: await write("bad", text) });
    expect(ended.stderr).toContain(message);
    expect(ended).toMatchObject({ code: 78, stdout: "" });
  },
  timeoutMs,
);

test(
  "a token for another machine without TLS ends metactl with 78 before it is sent",
  async () => {
    const args = ["members", "--endpoints", "http://192.0.2.1:3002", "--token-file", files.token];
    const ended = await metactl({ args });
    expect(ended.stderr).toContain("token must not go to http://192.0.2.1:3002");
    expect(ended.code).toBe(78);
  },
  timeoutMs,
);
