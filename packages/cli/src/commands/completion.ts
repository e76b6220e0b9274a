import { Argument, type Command } from "commander";
import type { CommandContext } from "../command-context.js";
import { exitCodes } from "../exit-codes.js";

const shells = ["bash", "zsh", "fish"] as const;

/** A shell that completion is for. */
export type Shell = (typeof shells)[number];

/** `metactl completion`: prints a script that completes commands and options. */
export function addCompletion(command: Command): Command {
  return command
    .description("Print a script that completes commands and options in your shell.")
    .addArgument(new Argument("<shell>", "your shell").choices(shells));
}

/** @returns the exit code */
export function completion({ output }: CommandContext, shell: Shell, program: Command): number {
  output.lines([completionScript(shell, program)]);
  return exitCodes.ok;
}

interface Words {
  readonly name: string;
  readonly description: string;
  readonly options: readonly string[];
}

/** The script for one shell. */
export function completionScript(shell: Shell, program: Command): string {
  const commands = program.commands.map((command): Words => {
    const options = command.options.flatMap(({ long, short }) => long ?? short ?? []);
    return { name: command.name(), description: command.description(), options: [...options, "--help"] };
  });
  switch (shell) {
    case "bash":
      return bash(commands);
    case "zsh":
      // It understands the script for bash, and shows the same.
      return `#compdef metactl\nautoload -U +X bashcompinit && bashcompinit\n${bash(commands)}`;
    case "fish":
      return fish(commands);
  }
}

function bash(commands: readonly Words[]): string {
  const cases = commands.map(({ name, options }) => {
    const words = name === "completion" ? [...shells, ...options] : options;
    return `    ${name}) words=${quoted(words.join(" "))} ;;`;
  });
  return `_metactl() {
  local word=\${COMP_WORDS[COMP_CWORD]} command= at words
  for ((at = 1; at < COMP_CWORD; at++)); do
    case \${COMP_WORDS[at]} in
      ${commands.map(({ name }) => name).join("|")}) command=\${COMP_WORDS[at]}; break ;;
    esac
  done
  case $command in
${cases.join("\n")}
    *) words=${quoted(commands.map(({ name }) => name).join(" "))} ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _metactl metactl`;
}

function fish(commands: readonly Words[]): string {
  const names = commands.map(({ name }) => name).join(" ");
  return commands
    .flatMap(({ name, description, options }) => [
      `complete -c metactl -n "not __fish_seen_subcommand_from ${names}" -a ${name} -d ${quoted(description)}`,
      ...options.map((option) => {
        const word = option.startsWith("--") ? `-l ${option.slice(2)}` : `-s ${option.slice(1)}`;
        return `complete -c metactl -n "__fish_seen_subcommand_from ${name}" ${word}`;
      }),
      ...(name === "completion"
        ? [`complete -c metactl -f -n "__fish_seen_subcommand_from completion" -a "${shells.join(" ")}"`]
        : []),
    ])
    .join("\n");
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
