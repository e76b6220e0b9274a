import type { Command } from "commander";
import type { CommandContext } from "../command-context.js";
import { exitCodes } from "../exit-codes.js";
import { holdersText, kindText, lockFields, nameFields } from "../lock-text.js";
import { shownName } from "../terminal-text.js";

/** `metactl watch`: tells of changes of locks. */
export function addWatch(command: Command): Command {
  return command
    .description("Tell of the locks there are, and of each that changes, ten times a second at most.")
    .argument("[prefix]", "only locks whose names begin with this");
}

/** Goes on until a signal, or until no server can be reached. */
export async function watch({ output, client }: CommandContext, prefix: string | undefined): Promise<number> {
  for await (const { locks, removed } of client().locks.watchAll({ prefix })) {
    for (const lock of locks) {
      if (output.json) {
        output.result(lockFields(lock));
      } else {
        const waiting = lock.waiters > 0 ? `, ${lock.waiters} waiting` : "";
        output.lines([
          `${output.bold(shownName(lock.name))}  ${kindText(lock)}, held by ${holdersText(lock)}${waiting}`,
        ]);
      }
    }
    for (const name of removed) {
      if (output.json) {
        output.result({ ...nameFields(name), removed: true });
      } else {
        output.lines([`${output.bold(shownName(name))}  free`]);
      }
    }
  }
  return exitCodes.ok;
}
