import type { Command } from "commander";
import type { CommandContext } from "../command-context.js";
import { exitCodes } from "../exit-codes.js";
import { printable } from "../terminal-text.js";

/** `metactl members`: shows the servers. */
export function addMembers(command: Command): Command {
  return command.description("Show the servers, the oldest first.");
}

/** @returns the exit code */
export async function members({ output, client }: CommandContext): Promise<number> {
  const all = await client().members();
  if (output.json) {
    for (const member of all) {
      output.result(member);
    }
  } else {
    output.table(
      ["ADDRESS", "ROLE", "VERSION", "STARTED", "ID"],
      all.map(({ address, role, version, startedAt, id }) =>
        [address, role, version, startedAt.toISOString(), id].map(printable),
      ),
    );
  }
  return exitCodes.ok;
}
