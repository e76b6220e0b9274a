import { Child, type Host } from "@metasrv/testing";

/** What to start. */
export interface ProgramOptions {
  /** Path of the program, one of `programs`. */
  readonly path: string;
  readonly args: readonly string[];
  readonly host?: Host | undefined;
}

/**
 * Starts one of the campaign's own programs; resolves when it has said that it is ready.
 *
 * @throws Error when it ends instead
 */
export async function startProgram({ path, args, host }: ProgramOptions): Promise<Child> {
  let sayReady: (() => void) | undefined;
  const ready = new Promise<void>((resolve) => {
    sayReady = resolve;
  });
  const child = await Child.start({
    command: process.execPath,
    args: [path, ...args],
    env: Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== "NODE_OPTIONS")),
    host,
    onStdoutLine: (line) => {
      if (line === "ready") {
        sayReady?.();
      }
    },
  });
  const exit = await Promise.race([ready, child.exited]);
  if (exit === undefined) {
    return child;
  }
  throw new Error(`${path} ended (code ${exit.code}, signal ${exit.signal}) before it was ready; ${child.tail}`);
}
