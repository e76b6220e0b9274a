import { once } from "node:events";
import type { Command } from "commander";
import type { CommandContext } from "../command-context.js";
import { exitCodes } from "../exit-codes.js";
import { messageOf } from "../message-of.js";
import { acquire, addLockOptions, type LockFlags } from "../run/lock-options.js";
import { abortedByEnd, Signals } from "../run/signals.js";
import { showWait } from "../run/wait-progress.js";

/** `metactl hold`: holds a lock until a signal. */
export function addHold(command: Command): Command {
  return addLockOptions(
    command
      .description("Hold a lock until a signal. Prints what it holds as a line of JSON.")
      .argument("<name>", "the lock"),
  );
}

/** @returns the exit code */
export async function hold(context: CommandContext, name: string, flags: LockFlags): Promise<number> {
  const { output, owner } = context;
  const meta = context.client();
  const signals = new Signals();
  const asked = abortedByEnd(signals);
  const endWait = showWait({ meta, output, name, owner });
  await using lock = await acquire(meta, [name], flags, { signal: asked }).finally(endWait);
  output.result({ name, token: lock.token, floor: lock.floorOf(name), owner, ttlMs: flags.ttl });
  const over = AbortSignal.any([lock.signal, asked]);
  if (!over.aborted) {
    await once(over, "abort");
  }
  if (asked.aborted) {
    return exitCodes.ok;
  }
  output.event("lost", { reason: messageOf(lock.signal.reason) });
  output.error(messageOf(lock.signal.reason), exitCodes.lost);
  return exitCodes.lost;
}
