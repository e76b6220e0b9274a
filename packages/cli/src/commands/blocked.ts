import { type Command, Option } from "commander";
import type { CommandContext } from "../command-context.js";
import { formatDuration, parseDuration } from "../durations.js";
import { exitCodes } from "../exit-codes.js";
import { lockFields, nameFields, ownerText, ticketFields, ticketText } from "../lock-text.js";
import { shownName } from "../terminal-text.js";

/** `metactl blocked`: shows who waits for whom. */
export function addBlocked(command: Command): Command {
  return command
    .description("Show the locks that somebody waits for, whom they wait for, and deadlocks.")
    .argument("[prefix]", "only locks whose names begin with this")
    .addOption(new Option("--min-wait <duration>", "only waits of at least this").argParser(parseDuration));
}

/** @returns the exit code */
export async function blocked(
  { output, client }: CommandContext,
  prefix: string | undefined,
  { minWait }: { readonly minWait?: number },
): Promise<number> {
  const { locks } = client();
  const rows: string[][] = [];
  for await (const { waiter, blockers, ...lock } of locks.blocked({ prefix, minWaitMs: minWait })) {
    if (output.json) {
      output.result({
        ...lockFields(lock),
        waiter: ticketFields(waiter),
        blockers: blockers.map(ticketFields),
      });
    } else {
      const first = ownerText(waiter.owner);
      const others = blockers.map(({ owner }) => ownerText(owner)).join(", ");
      rows.push([shownName(lock.name), first, formatDuration(waiter.ageMs), String(lock.waiters), others]);
    }
  }
  if (rows.length > 0) {
    output.table(["NAME", "FIRST TO WAIT", "FOR", "WAITING", "BLOCKED BY"], rows);
  } else if (!output.json) {
    output.note("nobody waits");
  }
  for (const deadlock of await locks.deadlocks()) {
    if (output.json) {
      output.result({
        deadlock: deadlock.map(({ name, ticket }) => ({ ...nameFields(name), ticket: ticketFields(ticket) })),
      });
    } else {
      output.lines([
        output.bold("deadlock:"),
        ...deadlock.map(({ name, ticket }) => `  ${shownName(name)}: ${ticketText(ticket)}`),
      ]);
    }
  }
  return exitCodes.ok;
}
