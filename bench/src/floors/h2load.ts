import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Child, findOrInstall } from "@metasrv/testing";
import { cpuSeconds } from "../measure/process-usage.js";
import type { Sample } from "../measure/sample.js";
import { cycleTtlMs } from "../peers/lock-client.js";
import { encodeLockRequest } from "../wire/lock-messages.js";

const watchEveryMs = 20;

/**
 * A round of h2load against the Lock method, always with the same request: h2load cannot take a key from one answer
 * into the next request. Two calls count as one cycle.
 */
export async function runH2load(address: string, inFlight: number, durationMs: number): Promise<Sample> {
  const command = await findOrInstall("h2load");
  const dir = await mkdtemp(join(tmpdir(), "metasrv-h2load-"));
  try {
    const body = join(dir, "body");
    const message = encodeLockRequest("free/1/1", cycleTtlMs);
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(message.length, 1);
    await writeFile(body, Buffer.concat([prefix, message]));
    const seconds = Math.max(1, Math.round(durationMs / 1000));
    const args = ["-c", "1", "-t", "1", "-m", String(inFlight), "-D", String(seconds), "-d", body];
    args.push("-H", "content-type: application/grpc", "-H", "te: trailers");
    args.push(`http://${address}/metasrv.v1.LockService/Lock`);
    const { lines, clientSeconds } = await run(command, args);
    const counts = /requests:.* (?<succeeded>\d+) succeeded, (?<failed>\d+) failed/.exec(lines)?.groups;
    if (counts === undefined) {
      throw new Error(`h2load said something unexpected:\n${lines}`);
    }
    return {
      cycles: Number(counts.succeeded) / 2,
      failed: Number(counts.failed),
      seconds,
      p50Ms: undefined,
      p99Ms: undefined,
      cpuSeconds: { client: clientSeconds },
    };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function run(command: string, args: readonly string[]): Promise<{ lines: string; clientSeconds: number }> {
  const lines: string[] = [];
  const child = await Child.start({ command, args, env: process.env, onStdoutLine: (line) => lines.push(line) });
  let clientSeconds = 0;
  const watch = setInterval(() => {
    try {
      clientSeconds = cpuSeconds([child.pid]);
    } catch {
      // The process has just ended.
    }
  }, watchEveryMs);
  const { code } = await child.exited;
  clearInterval(watch);
  if (code !== 0) {
    throw new Error(`h2load failed; ${child.tail}`);
  }
  return { lines: lines.join("\n"), clientSeconds };
}
