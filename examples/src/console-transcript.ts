import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** One command of a console transcript, and what it prints. */
export interface Step {
  readonly command: string;
  readonly output: string;
}

/**
 * Reads a transcript as a shell shows it: commands begin with `$ ` and go on in the next line after a `\`, all else is
 * output.
 */
export function transcriptSteps(transcript: string): Step[] {
  return transcript
    .split(/^\$ /mu)
    .slice(1)
    .map((step) => {
      const command = /^(?:.*\\\n)*.*\n/u.exec(step)?.[0] ?? step;
      return { command: command.trim(), output: step.slice(command.length) };
    });
}

// What differs from run to run: keys and encoded details, ids, fencing tokens. Each has to be the same wherever the
// transcript shows it.
const named = String.raw`(?<=")[A-Za-z0-9+/]{20,}={0,2}(?=")|(?<![\da-f])[\da-f]{16}(?:[\da-f]{16})?(?![\da-f])|(?<!\d)\d{12,}(?!\d)`;
// And times, which are different whenever they are shown.
const date = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`;
const measured = String.raw`\d+(?:\.\d+)?`;
const variable = new RegExp(
  String.raw`(?<named>${named})|(?<date>${date})|\d+\.\d+|(?<=(?:held|age|expiresIn|oldestWait)Ms":"|for at least )\d+|\b\d+(?=[smhd]\b)`,
  "gu",
);

/**
 * Runs the commands of a transcript and compares what they print with what it says. White space counts as one space, and not
 * at all in JSON, which guides wrap.
 */
export class TranscriptRun {
  readonly #substitutions: ReadonlyMap<string, string>;
  readonly #env: NodeJS.ProcessEnv;
  readonly #cwd: string;
  /** What the transcript's keys, ids and tokens are in this run. */
  readonly #actual = new Map<string, string>();

  /**
   * @param options.substitutions - what the transcript says, such as an address, and what is meant in this run
   */
  constructor(options: { substitutions: Record<string, string>; env: NodeJS.ProcessEnv; cwd: string }) {
    this.#substitutions = new Map(Object.entries(options.substitutions));
    this.#env = options.env;
    this.#cwd = options.cwd;
  }

  /** @throws Error that shows the command, what was expected and what came */
  async run({ command, output }: Step): Promise<void> {
    const real = substitute(substitute(command, this.#substitutions), this.#actual);
    // All that a console shows, whether the command succeeds or not.
    const shell = ["-c", `exec 2>&1\n${real}\ntrue`];
    const { stdout } = await promisify(execFile)("bash", shell, { env: this.#env, cwd: this.#cwd, timeout: 30_000 });
    const expected = substitute(output, this.#substitutions);
    if (!this.#accepts(withLessSpace(expected), withLessSpace(stdout))) {
      throw new Error(`$ ${real}\nexpected:\n${substitute(expected, this.#actual)}\ngot:\n${stdout}`);
    }
  }

  #accepts(expected: string, got: string): boolean {
    const groups = new Map<string, string>();
    let pattern = "";
    let end = 0;
    for (const match of expected.matchAll(variable)) {
      pattern += escapeRegExp(expected.slice(end, match.index));
      end = match.index + match[0].length;
      const time = match.groups?.date === undefined ? measured : date;
      pattern += match.groups?.named === undefined ? time : this.#patternOf(match[0], groups);
    }
    pattern += escapeRegExp(expected.slice(end));
    const found = new RegExp(`^${pattern}$`, "u").exec(got);
    for (const [shown, group] of groups) {
      this.#actual.set(shown, found?.groups?.[group] ?? shown);
    }
    return found !== null;
  }

  #patternOf(shown: string, groups: Map<string, string>): string {
    const known = this.#actual.get(shown);
    if (known !== undefined) {
      return escapeRegExp(known);
    }
    const group = groups.get(shown);
    if (group !== undefined) {
      return String.raw`\k<${group}>`;
    }
    groups.set(shown, `v${groups.size}`);
    return `(?<v${groups.size - 1}>${named})`;
  }
}

function substitute(text: string, substitutions: ReadonlyMap<string, string>): string {
  return [...substitutions].reduce((result, [from, to]) => result.replaceAll(from, to), text);
}

function withLessSpace(text: string): string {
  return text.trim().replace(/\s+/gu, text.trimStart().startsWith("{") ? "" : " ");
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/gu, String.raw`\$&`);
}
