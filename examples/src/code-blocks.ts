/** A fenced block of code in a Markdown file. */
export interface CodeBlock {
  /** What stands behind the opening fence, such as `ts`. */
  readonly language: string;
  readonly text: string;
  /** Number of its first line in the file, counted from 1. */
  readonly line: number;
}

/** The fenced blocks of a Markdown text, in order. */
export function codeBlocks(markdown: string): CodeBlock[] {
  return [...markdown.matchAll(/^```(?<language>\w*)\n(?<text>.*?)^```$/gmsu)].map((match) => ({
    language: match.groups?.language ?? "",
    text: match.groups?.text ?? "",
    line: markdown.slice(0, match.index).split("\n").length + 1,
  }));
}
