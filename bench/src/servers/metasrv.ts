import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Child, freePorts, type Metasrv, startMetasrv } from "@metasrv/testing";

/** How to start a server that is measured. */
export interface BenchMetasrvOptions {
  /** The etcd, as host:port; absent: it keeps its locks in memory. */
  readonly store?: string;
  readonly prefix?: string;
  /** Flags of `metasrv start` besides. */
  readonly args?: readonly string[];
  /** Variables set besides those of this process. */
  readonly env?: Readonly<Record<string, string>>;
}

// Limits above the defaults, so that no workload reaches them.
const limits = ["--max-tickets=2000000", "--max-waiters-per-lock=20000"];

/** The options that the operations guide recommends. */
const nodeOptions = "--max-semi-space-size=32";

function withNodeOptions(env: Readonly<Record<string, string>>): Record<string, string> {
  return { ...env, NODE_OPTIONS: [nodeOptions, env.NODE_OPTIONS ?? ""].join(" ").trim() };
}

/** Starts a server as a process of its own. */
export function startBenchMetasrv({ store, prefix, args = [], env = {} }: BenchMetasrvOptions): Promise<Metasrv> {
  return startMetasrv({
    args: [...limits, ...prefixArgs(prefix), ...args],
    env: withNodeOptions(env),
    ...(store !== undefined && { store }),
  });
}

const servesWithinMs = 120_000;
const lookEveryMs = 5;

/**
 * Starts a server, waits until it is ready, however long that takes, and kills it. Resolves with the time it took, in
 * milliseconds.
 */
export async function timeToServe({
  store,
  prefix,
  env = {},
}: BenchMetasrvOptions & { readonly store: string }): Promise<number> {
  const [port = 0] = await freePorts(1);
  const address = `127.0.0.1:${port}`;
  const bin = fileURLToPath(new URL("../bin/metasrv.js", import.meta.resolve("@metasrv/metasrv")));
  const args = [bin, "start", `--bind-addr=${address}`, `--store-addrs=${store}`, ...limits, ...prefixArgs(prefix)];
  const startedMs = performance.now();
  const child = await Child.start({
    command: process.execPath,
    args,
    env: { ...process.env, ...withNodeOptions(env) },
  });
  try {
    while (!(await isReady(address))) {
      if (child.exit !== undefined || performance.now() > startedMs + servesWithinMs) {
        throw new Error(`metasrv did not come to serve; ${child.tail}`);
      }
      await sleep(lookEveryMs);
    }
    return performance.now() - startedMs;
  } finally {
    await child.kill();
  }
}

async function isReady(address: string): Promise<boolean> {
  try {
    const { ok } = await fetch(`http://${address}/readyz`, { signal: AbortSignal.timeout(servesWithinMs) });
    return ok;
  } catch {
    return false;
  }
}

function prefixArgs(prefix: string | undefined): readonly string[] {
  return prefix === undefined ? [] : [`--store-key-prefix=${prefix}`];
}
