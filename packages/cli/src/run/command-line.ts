import type { HeldLocks } from "@metasrv/meta-client";
import { type Command, InvalidArgumentError, Option } from "commander";
import { parseDuration } from "../durations.js";
import { exitCodes, ExitError } from "../exit-codes.js";
import { killMarginMs } from "./supervised-run.js";

/** What commander reads of how a command is run. */
export interface CommandFlags {
  readonly c?: boolean | undefined;
  readonly grace: number;
  readonly group?: boolean | undefined;
  readonly keyFd?: number | undefined;
  readonly eventsFd?: number | undefined;
}

/** Adds the options that say how a command is run. */
export function addCommandOptions(command: Command): Command {
  return command
    .argument("<command...>", "the command and its arguments")
    .option("-c", "the command is a line for your shell ($SHELL)")
    .addOption(
      new Option("--grace <duration>", "how long the command may take to stop when the lock is lost")
        .argParser(parseDuration)
        .default(5_000, "5s"),
    )
    .option("--group", "give the command a process group of its own also at a terminal")
    .addOption(
      new Option("--key-fd <n>", "let the command read the lock's key from this descriptor").argParser(parseFd),
    )
    .addOption(new Option("--events-fd <n>", "write events as JSON to this descriptor").argParser(parseFd));
}

/** The program to execute, and its arguments. */
export function argvOf(command: readonly string[], { c }: CommandFlags, env: NodeJS.ProcessEnv): readonly string[] {
  if (c !== true) {
    return command;
  }
  const [line = "", ...args] = command;
  const shell = env.SHELL === undefined || env.SHELL === "" ? "/bin/sh" : env.SHELL;
  return [shell, "-c", line, shell, ...args];
}

/**
 * How long before the end of a hold its command begins to be stopped, in milliseconds.
 *
 * @throws ExitError (64) if that leaves no time for renewals
 */
export function endMarginOf({ grace }: CommandFlags, ttlMs: number): number {
  const endMarginMs = grace + killMarginMs;
  if (endMarginMs > ttlMs / 2) {
    throw new ExitError(
      exitCodes.usage,
      `--grace (${grace} ms) and ${killMarginMs} ms more must be half of --ttl (${ttlMs} ms) at most: ` +
        "the command must be dead before the lock can be anyone else's. " +
        `Give --ttl ${2 * endMarginMs}ms or more, or a shorter --grace`,
    );
  }
  return endMarginMs;
}

/** The environment of the command. The key is not in it: other processes could read it there. */
export function environmentOf(
  lock: HeldLocks,
  names: readonly string[],
  owner: string,
  env: NodeJS.ProcessEnv,
): NodeJS.ProcessEnv {
  return {
    ...env,
    METASRV_LOCK_NAME: names.join("\n"),
    METASRV_LOCK_TOKEN: String(lock.token),
    METASRV_LOCK_FLOOR: names.map((name) => String(lock.floorOf(name))).join("\n"),
    METASRV_LOCK_OWNER: owner,
  };
}

function parseFd(text: string): number {
  if (!/^\d{1,4}$/.test(text) || Number(text) < 3) {
    throw new InvalidArgumentError("Expected the number of a file descriptor, 3 or more.");
  }
  return Number(text);
}
