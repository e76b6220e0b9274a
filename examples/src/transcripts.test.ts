import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir, userInfo } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { LockLostError, MetaClient } from "@metasrv/meta-client";
import { Child, createCertificateAuthority, leakCheck, startEtcd, startMetasrv, TlsFront } from "@metasrv/testing";
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

  test(
    "troubleshooting.md",
    async () => {
      await using etcd = await startEtcd();
      await using metasrv = await startMetasrv({ store: etcd.endpoint });
      const run = new TranscriptRun({
        substitutions: {
          "127.0.0.1:3002": metasrv.address,
          "--store-addrs 127.0.0.1:2379": `--store-addrs ${etcd.endpoint}`,
          "ops@host-1": `${userInfo().username}@${hostname()}`,
        },
        env: { ...consoleWith(join(root, "node_modules/.bin/metactl")), METASRV_ENDPOINTS: metasrv.url },
        cwd: root,
      });
      await using meta = new MetaClient({ endpoints: [metasrv.url] });
      // Not renewed, so that what is shown of them does not depend on when.
      const ask = { ttlMs: timeoutMs, keepAlive: false };
      await using held = await meta.lock("orders/42", { ...ask, owner: "worker-1" });
      const waiting = meta.lock("orders/42", { ...ask, owner: "worker-2" }).catch((error: unknown) => error);
      for await (const { waiters } of meta.locks.watch("orders/42")) {
        if (waiters === 1) {
          break;
        }
      }
      const steps = await stepsOf("troubleshooting.md");
      expect(steps.length).toBeGreaterThan(7);
      for (const step of steps) {
        await run.run(step);
      }
      // The guide takes it away by force.
      expect(await waiting).toBeInstanceOf(LockLostError);
      await held.release();
    },
    timeoutMs,
  );

  test(
    "tutorial.md",
    async () => {
      await using metasrv = await startMetasrv();
      // Inside of the workspace, where a reader would put the program, so that it finds the client.
      const cwd = await mkdtemp(join(root, "examples", "tutorial-"));
      const run = new TranscriptRun({
        substitutions: { "127.0.0.1:3002": metasrv.address },
        env: { ...process.env, NODE_OPTIONS: "", npm_config_loglevel: "error", METASRV_ENDPOINTS: metasrv.url },
        cwd,
      });
      let holder: Child | undefined;
      try {
        for (const { language, text } of codeBlocks(await readFile(`${root}/docs/tutorial.md`, "utf8"))) {
          if (language === "js") {
            await writeFile(join(cwd, "holder.mjs"), text.replace("127.0.0.1:3002", metasrv.address));
          } else if (text === "node holder.mjs\n") {
            holder = await startHolder(cwd);
          } else if (language === "console") {
            for (const step of transcriptSteps(text)) {
              await run.run(step);
            }
          }
        }
        expect(await holder?.exited).toEqual({ code: null, signal: "SIGKILL" });
      } finally {
        await holder?.kill();
        await rm(cwd, { recursive: true });
      }
    },
    timeoutMs,
  );
});

/** Runs the tutorial's program in a folder until it says that it holds the lock. */
async function startHolder(cwd: string): Promise<Child> {
  return await new Promise((resolve, reject) => {
    const holder = Child.start({
      command: "env",
      args: [`--chdir=${cwd}`, process.execPath, "holder.mjs"],
      env: { PATH: process.env.PATH },
      onStdoutLine: (line) => {
        if (line.startsWith("I hold orders/42")) {
          void holder.then(resolve);
        }
      },
    });
    holder
      .then(async (child) => {
        await child.exited;
        reject(new Error(`the holder ended; ${child.tail}`));
      })
      .catch(reject);
  });
}

afterAll(leakCheck());
