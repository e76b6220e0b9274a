import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { createCertificateAuthority, leakCheck, startEtcd, startMetasrv, TlsFront } from "@metasrv/testing";
import { codeBlocks } from "./code-blocks.js";
import { type Step, TranscriptRun, transcriptSteps } from "./console-transcript.js";
import { findEtcdctl, findPython } from "./find-tools.js";

// The commands are run from where a reader would run them.
const root = resolve(fileURLToPath(new URL("../..", import.meta.url)));

async function stepsOf(file: string): Promise<Step[]> {
  const blocks = codeBlocks(await readFile(`${root}/docs/${file}`, "utf8"));
  return blocks.filter(({ language }) => language === "console").flatMap(({ text }) => transcriptSteps(text));
}

/** Where `program` is the first of its name in the PATH, and npm says nothing of its own. */
function consoleWith(program: string): NodeJS.ProcessEnv {
  const PATH = [dirname(program), process.env.PATH].join(delimiter);
  return { ...process.env, PATH, NODE_OPTIONS: "", npm_config_loglevel: "error" };
}

// Each command is a program of its own, which takes up to seconds to begin on a busy machine.
const timeoutMs = 60_000;

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "metasrv-guides-"));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

describe("what the guides show is what happens:", () => {
  test(
    "other-languages.md",
    async () => {
      await using metasrv = await startMetasrv();
      const authority = await createCertificateAuthority();
      const certificate = await authority.issue({ hosts: ["127.0.0.1"] });
      await using front = await TlsFront.start({ target: metasrv.address, ...certificate });
      await writeFile(join(folder, "ca.pem"), authority.cert);
      await writeFile(join(folder, "token.txt"), "a-token");
      const python = await findPython();
      const run = new TranscriptRun({
        substitutions: {
          "127.0.0.1:3002": metasrv.address,
          "locks.example.com:3002": `127.0.0.1:${front.port}`,
          "ca.pem": join(folder, "ca.pem"),
          "token.txt": join(folder, "token.txt"),
        },
        env: { ...consoleWith(python.command), ...python.env, PYTHONDONTWRITEBYTECODE: "1" },
        cwd: root,
      });
      const steps = await stepsOf("other-languages.md");
      expect(steps.length).toBeGreaterThan(10);
      for (const step of steps) {
        await run.run(step);
      }
    },
    timeoutMs,
  );

  test(
    "server.md",
    async () => {
      await using etcd = await startEtcd();
      await using metasrv = await startMetasrv({ store: etcd.endpoint });
      const run = new TranscriptRun({
        substitutions: {
          "127.0.0.1:3002": metasrv.address,
          "--store-addrs 127.0.0.1:2379": `--store-addrs ${etcd.endpoint}`,
        },
        env: { ...consoleWith(await findEtcdctl()), ETCDCTL_API: "3", ETCDCTL_ENDPOINTS: etcd.endpoint },
        cwd: root,
      });
      const steps = await stepsOf("server.md");
      expect(steps.length).toBeGreaterThan(3);
      for (const step of steps) {
        await run.run(step);
      }
    },
    timeoutMs,
  );
});

afterAll(leakCheck());
