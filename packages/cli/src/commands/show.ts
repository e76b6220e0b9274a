import type { Command } from "commander";
import type { CommandContext } from "../command-context.js";
import { formatDuration } from "../durations.js";
import { exitCodes } from "../exit-codes.js";
import { besidesText, kindText, lockFields, ownerText, stateText, ticketFields, ticketKind } from "../lock-text.js";
import { shownName } from "../terminal-text.js";

/** `metactl show`: shows a lock and its queue. */
export function addShow(command: Command): Command {
  return command
    .description("Show who holds a lock, and its queue: 250 requests at most.")
    .argument("<name>", "the lock");
}

/** @returns the exit code */
export async function show({ output, client }: CommandContext, name: string): Promise<number> {
  const lock = await client().locks.get(name, { maxTickets: 250 });
  if (output.json) {
    output.result({ ...lockFields(lock), tickets: lock.tickets.map(ticketFields) });
    return exitCodes.ok;
  }
  if (lock.tickets.length === 0) {
    output.lines([`${shownName(lock.name)}: free`]);
    return exitCodes.ok;
  }
  output.lines([`${output.bold(shownName(lock.name))}: ${kindText(lock)}, ${lock.waiters} waiting`]);
  output.table(
    ["TOKEN", "KIND", "STATE", "OWNER", "EXPIRES IN", "BESIDES"],
    lock.tickets.map((ticket) => [
      String(ticket.token),
      ticketKind(ticket),
      stateText(ticket),
      ownerText(ticket.owner),
      ticket.expiresInMs === undefined ? "-" : formatDuration(ticket.expiresInMs),
      besidesText(ticket),
    ]),
  );
  return exitCodes.ok;
}
