import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { Child, leakCheck, startEtcd, startMetasrv, until } from "@metasrv/testing";
import { PlainLocks } from "./plain-locks.js";

/**
 * A machine wakes up that was suspended for 12 s: the time of day and the time since the boot have gone on, the monotonic clock
 * and the timers have stood still. A process that loads this sees that at SIGUSR2.
 */
const waking = `
  import os from "node:os";
  import { syncBuiltinESMExports } from "node:module";
  let suspendedMs = 0;
  const [day, boot] = [Date.now, os.uptime];
  Date.now = () => day() + suspendedMs;
  os.uptime = () => boot() + suspendedMs / 1000;
  syncBuiltinESMExports();
  process.on("SIGUSR2", () => (suspendedMs += 12_000));
`;

let folder: string;
let wakes: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "metasrv-waking-"));
  const file = join(folder, "waking.mjs");
  await writeFile(file, waking);
  wakes = `--import=${pathToFileURL(file).href}`;
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});
afterAll(leakCheck());

/** A program whose lines of JSON are collected. */
async function run(program: string, args: readonly string[], url: string) {
  const lines: Record<string, unknown>[] = [];
  const child = await Child.start({
    command: process.execPath,
    args: [...args, "--input-type=module", "--eval", program, url],
    env: { PATH: process.env.PATH },
    onStdoutLine: (line) => {
      lines.push(JSON.parse(line) as Record<string, unknown>);
    },
  });
  return { child, lines };
}

const holder = `
  import { MetaClient } from "@metasrv/meta-client";
  const meta = new MetaClient({ endpoints: [process.argv[1]] });
  const lock = await meta.lock("x", { ttlMs: 10_000 });
  lock.signal.addEventListener("abort", () => console.log(JSON.stringify({ aborted: performance.now() })));
  console.log(JSON.stringify({ held: lock.held }));
  setInterval(() => undefined, 60_000);
  process.on("SIGUSR2", () => {
    const wokeMs = performance.now();
    console.log(JSON.stringify({ wokeMs }));
    setImmediate(() => {
      const { held, remainingMs, expiresAtMs } = lock;
      console.log(JSON.stringify({ held, remainingMs, isPast: expiresAtMs < wokeMs, aborted: lock.signal.aborted }));
    });
  });
`;

test("a holder whose machine was suspended knows at once that the lock is lost, before it hears of anybody", async () => {
  await using server = await startMetasrv();
  const { child, lines } = await run(holder, [wakes], server.url);
  await until(() => lines.length === 1, { what: "the lock" });
  // The network comes back later than the process.
  await server.kill("SIGSTOP");
  await child.kill("SIGUSR2");
  await until(() => lines.length === 4, { what: "the holder to wake up" });
  await child.kill();
  const [before, , told, seen] = lines;
  expect(before).toEqual({ held: true });
  expect([told, seen]).toContainEqual({ held: false, remainingMs: 0, isPast: true, aborted: true });
});

test("a server whose machine was suspended grants nothing before it has joined again", async () => {
  await using etcd = await startEtcd();
  await using server = await startMetasrv({ store: etcd.endpoint, env: { NODE_OPTIONS: wakes } });
  const joined = await server.waitForLog(({ msg }) => msg === "joined");
  using locks = new PlainLocks(server.url);
  await locks.lock("x", { ttlMs: 60_000 });
  await etcd.kill("SIGSTOP");
  await server.kill("SIGUSR2");
  await server.waitForLog(({ msg }) => String(msg).startsWith("membership lost"));
  await expect(locks.lock("y", { waitMs: 100 })).rejects.toMatchObject({ message: expect.stringContaining("store") });
  await etcd.kill("SIGCONT");
  await server.waitForLog(({ msg, memberId }) => msg === "joined" && memberId !== joined.memberId);
  await locks.lock("y", { ttlMs: 100 });
});

const ttlMs = 100;
const steps = `
  import { MetaClient } from "@metasrv/meta-client";
  const meta = new MetaClient({ endpoints: [process.argv[1]] });
  let [taken, done, late] = [0, 0, 0];
  setInterval(() => console.log(JSON.stringify({ taken, done, late })), 50);
  for (;;) {
    const lock = await meta.lock("x/" + process.pid, { ttlMs: ${ttlMs}, keepAlive: false }).catch(() => undefined);
    if (lock === undefined) {
      // The grant was over when it came.
      continue;
    }
    taken++;
    const endMs = lock.expiresAtMs;
    try {
      for (;;) {
        const nowMs = performance.now();
        lock.throwIfLost();
        done++;
        late += nowMs > endMs ? 1 : 0;
        await new Promise((resolve) => setImmediate(resolve));
      }
    } catch {
      await lock.release();
    }
  }
`;

test("of a client that is stopped 100 times past its TTL, no step runs late that looks whether the lock is held", async () => {
  await using server = await startMetasrv();
  const { child, lines } = await run(steps, [], server.url);
  for (let pauses = 0; pauses < 100; pauses++) {
    const before = Number(lines.at(-1)?.done ?? 0);
    await until(() => Number(lines.at(-1)?.done ?? 0) > before, { what: `steps after pause ${pauses}` });
    await child.kill("SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, ttlMs + 20));
    await child.kill("SIGCONT");
  }
  await child.kill();
  expect(Number(lines.at(-1)?.taken)).toBeGreaterThan(50);
  expect(lines.at(-1)).toMatchObject({ late: 0 });
}, 120_000);
