import { Command } from "commander";
import type { CommandContext } from "./command-context.js";
import { addBlocked, blocked } from "./commands/blocked.js";
import { addCompletion, completion, type Shell } from "./commands/completion.js";
import { addHold, hold } from "./commands/hold.js";
import { addLead, lead } from "./commands/lead.js";
import { addLs, ls } from "./commands/ls.js";
import { addMembers, members } from "./commands/members.js";
import { addRelease, release } from "./commands/release.js";
import { addRun, run } from "./commands/run.js";
import { addShow, show } from "./commands/show.js";
import { addWatch, watch } from "./commands/watch.js";
import { addGlobalOptions, type GlobalFlags } from "./settings.js";
import { version } from "./version.js";

/** Runs the work of a command with what its global options ask for. */
export type StartCommand = (
  flags: GlobalFlags,
  work: (context: CommandContext) => Promise<number> | number,
) => Promise<void>;

/** The command line of `metactl`. */
export function createProgram(start: StartCommand): Command {
  const program = addGlobalOptions(new Command("metactl"))
    .description("Runs commands under metasrv's locks, and shows who holds them and who waits.")
    .version(version)
    .exitOverride()
    .enablePositionalOptions()
    .showHelpAfterError("See 'metactl --help'.");
  // What stands after the command's name counts more than what stands before it.
  const withGlobals = (flags: GlobalFlags): GlobalFlags => ({ ...program.opts<GlobalFlags>(), ...flags });
  const leaf = (name: string): Command =>
    addGlobalOptions(program.command(name)).showHelpAfterError(`See 'metactl ${name} --help'.`);

  addRun(leaf("run")).action((argv: string[], flags: GlobalFlags & Parameters<typeof run>[2]) =>
    start(withGlobals(flags), (context) => run(context, argv, flags)),
  );
  addHold(leaf("hold")).action((name: string, flags: GlobalFlags & Parameters<typeof hold>[2]) =>
    start(withGlobals(flags), (context) => hold(context, name, flags)),
  );
  addLead(leaf("lead")).action((name: string, argv: string[], flags: GlobalFlags & Parameters<typeof lead>[3]) =>
    start(withGlobals(flags), (context) => lead(context, name, argv, flags)),
  );
  addLs(leaf("ls")).action((prefix: string | undefined, flags: GlobalFlags & Parameters<typeof ls>[2]) =>
    start(withGlobals(flags), (context) => ls(context, prefix, flags)),
  );
  addShow(leaf("show")).action((name: string, flags: GlobalFlags) =>
    start(withGlobals(flags), (context) => show(context, name)),
  );
  addWatch(leaf("watch")).action((prefix: string | undefined, flags: GlobalFlags) =>
    start(withGlobals(flags), (context) => watch(context, prefix)),
  );
  addBlocked(leaf("blocked")).action((prefix: string | undefined, flags: GlobalFlags & Parameters<typeof blocked>[2]) =>
    start(withGlobals(flags), (context) => blocked(context, prefix, flags)),
  );
  addMembers(leaf("members")).action((flags: GlobalFlags) => start(withGlobals(flags), members));
  addRelease(leaf("release")).action((name: string, flags: GlobalFlags & Parameters<typeof release>[2]) =>
    start(withGlobals(flags), (context) => release(context, name, flags)),
  );
  addCompletion(leaf("completion")).action((shell: Shell, flags: GlobalFlags) =>
    start(withGlobals(flags), (context) => completion(context, shell, program)),
  );
  return program;
}
