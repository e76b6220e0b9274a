import { fstatSync } from "node:fs";
import type { MetaClient } from "@metasrv/meta-client";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { CommandContext } from "../command-context.js";
import { exitCodeOf, exitCodeOfSignal, exitCodes, ExitError } from "../exit-codes.js";
import { messageOf } from "../message-of.js";
import type { Output } from "../output.js";
import { addCommandOptions, argvOf, type CommandFlags, endMarginOf, environmentOf } from "../run/command-line.js";
import { acquire, addLockOptions, type LockFlags } from "../run/lock-options.js";
import { abortedByEnd, Signals } from "../run/signals.js";
import { type RunEnd, runUnderLock } from "../run/supervised-run.js";
import { showWait } from "../run/wait-progress.js";
import { shownName } from "../terminal-text.js";

interface RunFlags extends LockFlags, CommandFlags {
  readonly name: readonly string[];
  readonly E?: number | undefined;
}

/** `metactl run`: runs a command while it holds locks. */
export function addRun(command: Command): Command {
  command
    .description("Run a command while holding a lock, or several at once.")
    .addOption(
      new Option("--name <name>", "the lock; repeat it for several that are held together")
        .argParser((name: string, names: readonly string[] | undefined) => [...(names ?? []), name])
        .makeOptionMandatory(),
    )
    .addOption(
      new Option("-E <code>", "exit code when the lock was not granted").argParser((text) => {
        if (!/^\d{1,3}$/.test(text) || Number(text) > 255) {
          throw new InvalidArgumentError("Expected a number from 0 to 255.");
        }
        return Number(text);
      }),
    );
  // What follows the command's name is the command's.
  return addCommandOptions(addLockOptions(command)).passThroughOptions();
}

/** @returns the exit code */
export async function run(context: CommandContext, argv: readonly string[], flags: RunFlags): Promise<number> {
  try {
    const attempt = { context, names: flags.name, argv, flags };
    const signals = new Signals();
    const end = await runOnce(context.client(), attempt, signals);
    return end.lost === undefined ? exitCodeOfEnd(end) : exitCodes.lost;
  } catch (error) {
    const exitCode = exitCodeOf(error);
    if (exitCode !== exitCodes.notAcquired || flags.E === undefined) {
      throw error;
    }
    throw new ExitError(flags.E, messageOf(error), { cause: error });
  }
}

/** One request for locks, and a command to run while they are held. */
export interface RunAttempt {
  readonly context: CommandContext;
  readonly names: readonly string[];
  readonly argv: readonly string[];
  readonly flags: LockFlags & CommandFlags;
}

/**
 * Waits for the locks, runs the command and releases the locks.
 *
 * @throws SignalError when a signal ended the wait; else as `acquire` and `runUnderLock`
 */
export async function runOnce(meta: MetaClient, attempt: RunAttempt, signals: Signals): Promise<RunEnd> {
  const { context, names, argv, flags } = attempt;
  const { output, env } = context;
  if (flags.eventsFd !== undefined) {
    checkOpen(flags.eventsFd);
    output.sendEventsTo(flags.eventsFd);
  }
  const endMarginMs = endMarginOf(flags, flags.ttl);
  const signal = abortedByEnd(signals);
  const endWait = showWait({ meta, output, name: names[0] ?? "", owner: context.owner });
  const acquired = acquire(meta, names, flags, { signal, endMarginMs });
  await using lock = await acquired.finally(endWait);
  signal.throwIfAborted();
  const { token } = lock;
  output.event("granted", { names, token, floors: names.map((name) => lock.floorOf(name)), owner: context.owner });
  output.detail(`${names.map(shownName).join(", ")}: granted, token ${token}`);
  const { group, keyFd, grace: graceMs } = flags;
  try {
    const end = await runUnderLock(lock, signals, output, {
      argv: argvOf(argv, flags, env),
      env: environmentOf(lock, names, context.owner, env),
      graceMs,
      group: group === true,
      secret: keyFd === undefined ? undefined : { fd: keyFd, text: Buffer.from(lock.key).toString("base64") },
    });
    tellEnd(output, end);
    return end;
  } catch (error) {
    output.event("exited", { code: null, signal: null, reason: "not started" });
    throw error;
  }
}

/** The exit code that tells how a child ended. */
export function exitCodeOfEnd({ code, signal }: RunEnd): number {
  return signal === null ? (code ?? exitCodes.fault) : exitCodeOfSignal(signal);
}

function tellEnd(output: Output, { code, signal, lost }: RunEnd): void {
  output.event("exited", { code, signal, reason: lost === undefined ? "ended" : "lost" });
  output.detail(signal === null ? `the command ended with ${code}` : `the command was ended by ${signal}`);
}

function checkOpen(fd: number): void {
  let isOpen: boolean;
  try {
    const stats = fstatSync(fd);
    // Node's own descriptors, such as that of epoll, are of no kind.
    isOpen = stats.isFile() || stats.isFIFO() || stats.isSocket() || stats.isCharacterDevice();
  } catch {
    isOpen = false;
  }
  if (!isOpen) {
    throw new ExitError(
      exitCodes.usage,
      `--events-fd: descriptor ${fd} is not open: open it in your shell, such as ${fd}>events.json`,
    );
  }
}
