import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { createCertificateAuthority, leakCheck, type Metasrv, startMetasrv } from "@metasrv/testing";
import { metactl } from "../test-support/metactl.js";

const checkLeaks = leakCheck();
const timeoutMs = 60_000;
const token = "a token of the principal ops".replaceAll(" ", "-");

let folder: string;
let server: Metasrv;
let url: string;
let files: Readonly<Record<"ca" | "token" | "other", string>>;

/** A server with TLS, where the principal ops may lock and inspect what begins with `orders/`. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "metactl-tokens-"));
  const authority = await createCertificateAuthority();
  const { cert, key } = await authority.issue({ hosts: ["127.0.0.1"], usages: ["server"] });
  const sha256 = createHash("sha256").update(token).digest("hex");
  const write = async (name: string, text: string): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  };
  files = {
    ca: await write("ca.pem", authority.cert),
    token: await write("token", `${token}\n`),
    other: await write("other", "of-nobody"),
  };
  const config = {
    tls: { cert: await write("cert.pem", cert), key: await write("key.pem", key) },
    auth: {
      principals: [{ name: "ops", tokenSha256: [sha256] }],
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
