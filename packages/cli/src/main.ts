import type { MetaClient } from "@metasrv/meta-client";
import { CommanderError } from "commander";
import type { CommandContext } from "./command-context.js";
import { exitCodeOf, exitCodes, SignalError } from "./exit-codes.js";
import { messageOf } from "./message-of.js";
import type { Output } from "./output.js";
import { createProgram } from "./program.js";
import { completeReach, type GlobalFlags, openClient, openOutput, ownerText } from "./settings.js";

/**
 * Runs `metactl`.
 *
 * @param argv - as in `process.argv`
 * @returns the exit code; the process should end with it at once
 */
export async function main(argv: readonly string[]): Promise<number> {
  const { env } = process;
  // A client does not keep the process alive while it only holds a lock, or watches.
  const alive = setInterval(() => undefined, 60_000);
  let output: Output | undefined;
  let exitCode: number = exitCodes.ok;
  const fail = (text: string, code: number): void => {
    (output ?? openOutput({}, env)).error(text, code);
  };
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    // Who reads the output may have seen enough.
    if (error.code === "EPIPE") {
      process.exit(exitCodes.ok);
    }
    fail(`the output cannot be written: ${error.message}`, exitCodes.notWritten);
    process.exit(exitCodes.notWritten);
  });
  process.stderr.on("error", () => undefined);
  const start = async (flags: GlobalFlags, work: (context: CommandContext) => Promise<number> | number) => {
    output = openOutput(flags, env);
    let meta: MetaClient | undefined;
    const warn = (text: string): void => output?.note(text);
    const client = (): MetaClient => (meta ??= openClient(completeReach(flags, env), warn));
    try {
      exitCode = await work({ output, env, owner: ownerText(), client });
    } finally {
      await meta?.close();
    }
  };
  try {
    await createProgram(start).parseAsync(argv);
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has printed the message already.
      return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    }
    const failed = exitCodeOf(error);
    if (!(error instanceof SignalError)) {
      fail(messageOf(error), failed);
    }
    return failed;
  } finally {
    // The process ends as soon as this returns, and an error of the last write is told only later.
    await new Promise<void>((resolve) => {
      process.stdout.write("", () => {
        resolve();
      });
    });
    clearInterval(alive);
  }
}
