import type { Command } from "commander";
import type { CommandContext } from "../command-context.js";
import { exitCodes } from "../exit-codes.js";
import { holdersText, kindText, lockFields, sinceText } from "../lock-text.js";
import { shownName } from "../terminal-text.js";

/** `metactl ls`: lists locks. */
export function addLs(command: Command): Command {
  return command
    .description("List the locks that somebody holds or waits for.")
    .argument("[prefix]", "only locks whose names begin with this")
    .option("--waiting", "only locks that somebody waits for");
}

/** @returns the exit code */
export async function ls(
  { output, client }: CommandContext,
  prefix: string | undefined,
  { waiting }: { readonly waiting?: boolean },
): Promise<number> {
  const rows: string[][] = [];
  for await (const lock of client().locks.list({ prefix, waitingOnly: waiting })) {
    if (output.json) {
      output.result(lockFields(lock));
    } else {
      rows.push([shownName(lock.name), kindText(lock), holdersText(lock), sinceText(lock), String(lock.waiters)]);
    }
  }
  if (rows.length > 0) {
    output.table(["NAME", "KIND", "HELD BY", "FOR", "WAITING"], rows);
  } else if (!output.json) {
    output.note("no locks");
  }
  return exitCodes.ok;
}
