import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createSecureServer, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import {
  type Certificate,
  Child,
  createCertificateAuthority,
  leakCheck,
  startEtcd,
  startMetasrv,
  TlsFront,
} from "@metasrv/testing";
import { findPython } from "./find-tools.js";

const script = fileURLToPath(new URL("../python/lock_example.py", import.meta.url));

async function startExample(args: string[], onStdoutLine: (line: string) => void = () => undefined): Promise<Child> {
  const { command, env } = await findPython();
  const ownEnv = { ...process.env, ...env, PYTHONDONTWRITEBYTECODE: "1" };
  return Child.start({ command, args: [script, ...args], env: ownEnv, onStdoutLine });
}

/** Runs the example and reads its lines: when, in seconds, what. */
async function runExample(address: string, ...options: string[]): Promise<Map<string, number>> {
  const lines: string[] = [];
  const child = await startExample([address, ...options], (line) => {
    lines.push(line);
  });
  const { code } = await child.exited;
  if (code !== 0) {
    throw new Error(`it ended with ${code}; ${child.tail}`);
  }
  return new Map(
    lines.map((line) => {
      const { seconds, what = line } = /^\[ *(?<seconds>\d+\.\d\d) s\] (?<what>.*)$/u.exec(line)?.groups ?? {};
      return [what, Number(seconds)];
    }),
  );
}

describe("lock_example.py, by gRPC and the original contract", () => {
  test.each(["memory", "etcd"])("with locks in %s", async (backend) => {
    await using etcd = backend === "etcd" ? await startEtcd() : undefined;
    await using metasrv = await startMetasrv(etcd === undefined ? {} : { store: etcd.endpoint });

    const lines = await runExample(metasrv.address);

    expect([...lines.keys()]).toEqual([
      "one: locked",
      "one: unlocked",
      "one: unlocked again, which is harmless",
      "first: locked",
      "second: asks, and waits",
      "first: unlocks",
      "second: locked",
      "second: unlocked",
      "slow: locked for 1 s, and works on",
      "next: locked",
      "slow: unlocks too late, which is harmless",
      "other: a deadline of 0.5 s is shorter than the wait: DEADLINE_EXCEEDED",
      "next: unlocked",
      "holder: locked for 2 s, and goes away without unlocking",
      "patient: locked, after a wait without a deadline",
      "done",
    ]);
    const between = (from: string, to: string) => (lines.get(to) ?? NaN) - (lines.get(from) ?? NaN);
    // Less than the first lock would have lasted, and than locks last by default.
    expect(between("first: unlocks", "second: locked")).toBeLessThan(60);
    expect(between("slow: locked for 1 s, and works on", "next: locked")).toBeLessThan(10);
    const [, holder = "", patient = ""] = [...lines.keys()].slice(-4);
    expect(between(holder, patient)).toBeLessThan(10);
  });
});

describe("lock_example.py, by TLS", () => {
  let folder: string;
  let certificate: Certificate;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "metasrv-python-"));
    const authority = await createCertificateAuthority();
    certificate = await authority.issue({ hosts: ["127.0.0.1"] });
    await writeFile(join(folder, "ca.pem"), authority.cert);
    await writeFile(join(folder, "token"), "a-token\n");
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });
  const secured = () => ["--ca", join(folder, "ca.pem"), "--token-file", join(folder, "token")];

  test("locks through a proxy that ends TLS", async () => {
    await using metasrv = await startMetasrv();
    await using front = await TlsFront.start({ target: metasrv.address, ...certificate });
    expect([...(await runExample(`127.0.0.1:${front.port}`, ...secured())).keys()].at(-1)).toBe("done");
  });

  test("shows its token with each call, and what a server says of it", async () => {
    const shown: (string | undefined)[] = [];
    const server = createSecureServer({ ...certificate });
    server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      shown.push(headers.authorization);
      const said = { "grpc-status": "16", "grpc-message": "the token is unknown here" };
      stream.respond({ ":status": 200, "content-type": "application/grpc", ...said }, { endStream: true });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const child = await startExample([`127.0.0.1:${(server.address() as AddressInfo).port}`, ...secured()]);
    expect((await child.exited).code).toBe(1);
    expect(child.tail).toContain("the token is unknown here");
    expect(child.tail).not.toContain("a-token");
    expect(shown).toEqual(["Bearer a-token"]);
    server.close();
    await once(server, "close");
  });

  test("sends no token without TLS", async () => {
    const child = await startExample(["127.0.0.1:1", ...secured().slice(2)]);
    expect((await child.exited).code).toBe(1);
    expect(child.tail).toContain("a token without TLS could be read by others on its way");
  });
});

afterAll(leakCheck());
