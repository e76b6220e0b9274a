/** One option of a command. */
export interface OptionRow {
  /** With its value, such as `--bind-addr <host:port>`. */
  readonly option: string;
  /** Empty where there is none. */
  readonly byDefault: string;
  readonly meaning: string;
  readonly variable: string;
}

/** The options that a `--help` text lists, except `--help` itself. */
export function helpOptions(help: string): OptionRow[] {
  const entries = help.split(/^ {2}(?=--)/mu).slice(1);
  return entries.map((entry) => {
    // Help is wrapped to the terminal's width.
    const [unwrapped = ""] = entry.replace(/\s+/gu, " ").trim().split(" -h, --help");
    const option = /^--\S+(?: [<[]\S+[>\]])?/u.exec(unwrapped)?.[0] ?? "";
    const text = unwrapped.slice(option.length).trim();
    const notes = /(?: \([^()]*\))*$/u.exec(text)?.[0] ?? "";
    const choices = [...(/choices: (?:"[\w.]+"(?:, )?)+/u.exec(notes)?.[0] ?? "").matchAll(/"([\w.]+)"/gu)];
    const description = text.slice(0, text.length - notes.length);
    return {
      option,
      byDefault: /default: "?([^)"]*)/u.exec(notes)?.[1] ?? "",
      meaning: choices.length === 0 ? description : `${description}: ${choices.map(([, name]) => name).join(", ")}`,
      variable: /env: (\w+)/u.exec(notes)?.[1] ?? "",
    };
  });
}

/** The options that a Markdown table with the columns option, default and meaning lists. */
export function tableOptions(markdown: string): Omit<OptionRow, "variable">[] {
  return [...markdown.matchAll(/^\| `(--[^`]+)` +\|([^|]*)\|([^|]*)\|$/gmu)].map(
    ([, option = "", byDefault = "", meaning = ""]) => ({
      option,
      byDefault: byDefault.replaceAll("`", "").trim(),
      meaning: meaning.replaceAll("`", "").trim(),
    }),
  );
}
