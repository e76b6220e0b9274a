import { hostname, userInfo } from "node:os";
import { createInterface } from "node:readline";
import { LockLostError } from "@metasrv/meta-client";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { CommandContext } from "../command-context.js";
import { exitCodes, ExitError } from "../exit-codes.js";
import { nameFields, ticketFields, ticketText } from "../lock-text.js";
import { shownName } from "../terminal-text.js";

interface ReleaseFlags {
  readonly token: bigint;
  readonly reason: string;
  readonly yes?: boolean;
}

/** `metactl release`: takes a lock away by force. */
export function addRelease(command: Command): Command {
  return command
    .description("Take a lock away from its holder, or end a wait, by force. Its holder is told, and it is recorded.")
    .argument("<name>", "the lock")
    .addOption(
      new Option("--token <token>", "token of the request, as `metactl show` prints it")
        .argParser((text) => {
          if (!/^\d{1,19}$/.test(text)) {
            throw new InvalidArgumentError("Expected a token, a whole number.");
          }
          return BigInt(text);
        })
        .makeOptionMandatory(),
    )
    .requiredOption("--reason <text>", "why: the holder is told, and it is kept")
    .option("--yes", "do not ask");
}

/** @returns the exit code */
export async function release(context: CommandContext, name: string, flags: ReleaseFlags): Promise<number> {
  const { output, client } = context;
  const { token, reason } = flags;
  const force = async (dryRun: boolean) => {
    const options = { reason, actor: actorText(), dryRun };
    return client()
      .locks.force(name, token, options)
      .catch((error: unknown) => {
        // Nothing was done, and nothing of the caller's is lost.
        throw error instanceof LockLostError ? new ExitError(exitCodes.failed, error.message, { cause: error }) : error;
      });
  };
  if (flags.yes !== true) {
    if (!process.stdin.isTTY) {
      throw new ExitError(exitCodes.usage, "there is no terminal to ask at: add --yes to release without being asked");
    }
    const ticket = await force(true);
    process.stderr.write(`${shownName(name)}: ${ticketText(ticket)}\n`);
    process.stderr.write("Its holder may be at work. Type the name of the lock to release it by force: ");
    if ((await typedLine()) !== name) {
      throw new ExitError(exitCodes.failed, "that is not its name: nothing was released");
    }
  }
  const ticket = await force(false);
  if (output.json) {
    output.result({ ...nameFields(name), ...ticketFields(ticket), reason });
  } else {
    output.lines([`released ${shownName(name)}: ${ticketText(ticket)}`]);
  }
  return exitCodes.ok;
}

async function typedLine(): Promise<string | undefined> {
  const lines = createInterface({ input: process.stdin, terminal: false });
  try {
    for await (const line of lines) {
      return line;
    }
    return undefined;
  } finally {
    lines.close();
  }
}

/** Who does it, for the record. */
function actorText(): string {
  let user = "";
  try {
    user = userInfo().username;
  } catch {
    // The system knows no name for this user.
  }
  return user === "" ? hostname() : `${user}@${hostname()}`;
}
