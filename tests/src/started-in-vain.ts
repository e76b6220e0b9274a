import { fileURLToPath } from "node:url";
import { Child } from "@metasrv/testing";

const bin = fileURLToPath(new URL("../../packages/metasrv/bin/metasrv.js", import.meta.url));

/** How a run of the program ended. */
export interface Run {
  readonly code: number | null;
  /** The last lines that it wrote, on both outputs. */
  readonly said: string;
  /** What it wrote to its standard output. */
  readonly lines: readonly string[];
  readonly tookMs: number;
}

/** Runs the built program until it ends. */
export async function runMetasrv(...args: string[]): Promise<Run> {
  const startedAt = performance.now();
  const lines: string[] = [];
  const child = await Child.start({
    command: process.execPath,
    args: [bin, ...args],
    env: { PATH: process.env.PATH },
    onStdoutLine: (line) => lines.push(line),
  });
  const { code } = await child.exited;
  return { code, said: child.tail, lines, tookMs: performance.now() - startedAt };
}

/** Starts a server that must fail to start. If its flags name no address, it would listen on a free port. */
export function startedInVain(...args: string[]): Promise<Run> {
  const bind = args.includes("--bind-addr") ? [] : ["--bind-addr", "127.0.0.1:0"];
  return runMetasrv("start", ...bind, ...args);
}
