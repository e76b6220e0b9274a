import { setTimeout as sleep } from "node:timers/promises";
import { UnavailableError } from "@metasrv/meta-client";
import type { Command } from "commander";
import type { CommandContext } from "../command-context.js";
import { messageOf } from "../message-of.js";
import { addCommandOptions, type CommandFlags } from "../run/command-line.js";
import { addTtlOption, type LockFlags } from "../run/lock-options.js";
import { abortedByEnd, Signals } from "../run/signals.js";
import type { RunEnd } from "../run/supervised-run.js";
import { exitCodeOfEnd, runOnce } from "./run.js";

/** How long a candidate stays away after its term, in milliseconds: others that wait come first. */
const rejoinMs = 1_000;

/** `metactl lead`: runs a command while this process leads. */
export function addLead(command: Command): Command {
  command
    .description(
      "Run a command while leading. It is stopped when the term is lost, and started again with the next one.",
    )
    .argument("<name>", "the lock of the election");
  return addCommandOptions(addTtlOption(command));
}

/**
 * @returns the exit code of the command, once it has ended in a term that goes on
 * @throws SignalError when a signal ended the wait for a term
 */
export async function lead(
  context: CommandContext,
  name: string,
  argv: readonly string[],
  flags: CommandFlags & Pick<LockFlags, "ttl">,
): Promise<number> {
  const meta = context.client();
  const attempt = { context, names: [name], argv, flags };
  const signals = new Signals();
  for (let isFirst = true; ; isFirst = false) {
    let end: RunEnd | undefined;
    try {
      end = await runOnce(meta, attempt, signals);
    } catch (error) {
      // Who has led once goes on when the servers come back.
      if (isFirst || !(error instanceof UnavailableError)) {
        throw error;
      }
      context.output.note(messageOf(error));
    }
    if (end !== undefined && end.lost === undefined) {
      return exitCodeOfEnd(end);
    }
    const asked = end?.asked ?? abortedByEnd(signals);
    await sleep(rejoinMs, undefined, { signal: asked }).catch(() => {
      asked.throwIfAborted();
    });
  }
}
