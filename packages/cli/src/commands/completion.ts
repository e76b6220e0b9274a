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
    return { name: command.name(), description: command.description(), options: optionsOf(command) };
  });
  const globals = optionsOf(program);
  switch (shell) {
    case "bash":
      return bash(commands, globals);
    case "zsh":
      // It understands the script for bash, and shows the same.
      return `autoload -U +X bashcompinit && bashcompinit\n${bash(commands, globals)}`;
    case "fish":
      return fish(commands, globals);
  }
}

function optionsOf(command: Command): string[] {
  return [...command.options.flatMap(({ long, short }) => long ?? short ?? []), "--help"];
}

function bash(commands: readonly Words[], globals: readonly string[]): string {
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
    *)
      case $word in
        -*) words=${quoted(globals.join(" "))} ;;
        *) words=${quoted(commands.map(({ name }) => name).join(" "))} ;;
      esac
      ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _metactl metactl`;
}

function fish(commands: readonly Words[], globals: readonly string[]): string {
  const any = `-n "not __fish_seen_subcommand_from ${commands.map(({ name }) => name).join(" ")}"`;
  const lines = commands.flatMap(({ name, description, options }) => {
    const here = `-n "__fish_seen_subcommand_from ${name}"`;
    return [
      `${any} -f -a ${name} -d ${quoted(description)}`,
      ...options.map((option) => `${here} ${fishOption(option)}`),
      ...(name === "completion" ? [`${here} -f -a "${shells.join(" ")}"`] : []),
    ];
  });
  return [...globals.map((option) => `${any} ${fishOption(option)}`), ...lines]
    .map((line) => `complete -c metactl ${line}`)
    .join("\n");
}

function fishOption(option: string): string {
  return option.startsWith("--") ? `-l ${option.slice(2)}` : `-s ${option.slice(1)}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
