import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Child, findOrInstall, freePorts } from "@metasrv/testing";

/** What Redis keeps on disk: nothing, or everything, fsynced before it answers. */
export type Durability = "volatile" | "aof-always";

/** A running Redis. Disposing of it kills it and removes its data. */
export interface BenchRedis extends AsyncDisposable {
  /** As host:port. */
  readonly address: string;
  readonly pid: number;
}

/** Starts a Redis on a free port of 127.0.0.1 and resolves when it accepts connections. */
export async function startRedis(durability: Durability): Promise<BenchRedis> {
  const command = await findOrInstall("redis-server");
  const [port = 0] = await freePorts(1);
  const dir = await mkdtemp(join(tmpdir(), "metasrv-redis-"));
  const args = ["--bind", "127.0.0.1", "--port", String(port), "--dir", dir, "--save", ""];
  if (durability === "aof-always") {
    args.push("--appendonly", "yes", "--appendfsync", "always");
  }
  const child = await Child.start({ command, args, env: process.env });
  const dispose = async (): Promise<void> => {
    await child.kill();
    await rm(dir, { recursive: true, force: true });
  };
  const deadlineMs = performance.now() + 10_000;
  while (!(await accepts(port))) {
    if (child.exit !== undefined || performance.now() > deadlineMs) {
      await dispose();
      throw new Error(`Redis did not start; ${child.tail}`);
    }
    await sleep(20);
  }
  return { address: `127.0.0.1:${port}`, pid: child.pid, [Symbol.asyncDispose]: dispose };
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect({ port, host: "127.0.0.1" });
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
