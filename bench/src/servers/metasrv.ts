import { fileURLToPath } from "node:url";
import { Child, type Metasrv, startMetasrv } from "@metasrv/testing";

/** What a benchmarked server is started with. */
export interface BenchMetasrvOptions {
  /** The etcd, as host:port; absent: it keeps its locks in memory. */
  readonly store?: string;
  readonly prefix?: string;
  /** Variables set besides those of this process. */
  readonly env?: Readonly<Record<string, string>>;
}

// Raised above the defaults, so that no workload runs into them.
const limits = ["--max-tickets=2000000", "--max-waiters-per-lock=20000"];

/** As the operations guide has it. */
const nodeOptions = "--max-semi-space-size=32";

function withNodeOptions(env: Readonly<Record<string, string>>): Record<string, string> {
  return { ...env, NODE_OPTIONS: [nodeOptions, env.NODE_OPTIONS ?? ""].join(" ").trim() };
}

/** Starts a server as a process of its own. */
export function startBenchMetasrv({ store, prefix, env = {} }: BenchMetasrvOptions): Promise<Metasrv> {
  return startMetasrv({
    args: [...limits, ...(prefix === undefined ? [] : [`--store-key-prefix=${prefix}`])],
    env: withNodeOptions(env),
    ...(store !== undefined && { store }),
  });
}

const loadsWithinMs = 120_000;

/** Starts a server, waits however long it takes until it serves, and kills it; the time it took, in milliseconds. */
export async function timeToListen({
  store,
  env,
}: Required<Pick<BenchMetasrvOptions, "store" | "env">>): Promise<number> {
  let listening: () => void = () => undefined;
  const listens = new Promise<void>((resolve) => {
    listening = resolve;
  });
  const bin = fileURLToPath(new URL("../bin/metasrv.js", import.meta.resolve("@metasrv/metasrv")));
  const startedMs = performance.now();
  const child = await Child.start({
    command: process.execPath,
    args: [bin, "start", "--bind-addr=127.0.0.1:0", `--store-addrs=${store}`, ...limits],
    env: { ...process.env, ...withNodeOptions(env) },
    onStdoutLine: (line) => {
      if (line.includes('"msg":"listening"')) {
        listening();
      }
    },
  });
  const timer = setTimeout(() => void child.kill(), loadsWithinMs);
  try {
    const ended = child.exited.then(() => {
      throw new Error(`metasrv did not come to serve; ${child.tail}`);
    });
    await Promise.race([listens, ended]);
    return performance.now() - startedMs;
  } finally {
    clearTimeout(timer);
    await child.kill();
  }
}
