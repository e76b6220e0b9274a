import { writeSync } from "node:fs";
import { jsonLine, printable, table } from "./terminal-text.js";

/** Where metactl writes, and how much. */
export interface OutputOptions {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly env: NodeJS.ProcessEnv;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
}

/** Writes results to standard output and everything else to standard error, for people or for programs. */
export class Output {
  readonly json: boolean;
  readonly #options: OutputOptions;
  #eventsFd: number | undefined;
  #progress = false;

  constructor(options: OutputOptions) {
    this.#options = options;
    this.json = options.json;
  }

  /** Events go to this file descriptor from now on, and people are told as without `--json`. */
  sendEventsTo(fd: number): void {
    this.#eventsFd = fd;
  }

  /** Whether somebody reads {@link event}. */
  get hasEvents(): boolean {
    return this.json || this.#eventsFd !== undefined;
  }

  /** Whether a person sees {@link progress}. */
  get hasProgress(): boolean {
    return this.#options.stderr.isTTY && this.#speaks && !this.#options.quiet;
  }

  /** One result for programs. */
  result(value: object): void {
    this.#options.stdout.write(jsonLine(value));
  }

  /** Lines for people. They must be printable. */
  lines(lines: readonly string[]): void {
    this.#options.stdout.write(lines.map((line) => `${line}\n`).join(""));
  }

  /** A table for people. Cells must be printable. */
  table(heads: readonly string[], rows: readonly (readonly string[])[]): void {
    const [head = "", ...lines] = table(heads, rows);
    this.lines([this.bold(head), ...lines]);
  }

  /** The text in bold, on a terminal that shows colours. */
  bold(text: string): string {
    return this.#hasColours ? `\x1b[1m${text}\x1b[22m` : text;
  }

  /** Something happened. */
  event(event: string, details: object): void {
    const line = jsonLine({ event, ...details });
    if (this.#eventsFd !== undefined) {
      writeEvent(this.#eventsFd, line);
    } else if (this.json) {
      this.#options.stderr.write(line);
    }
  }

  /** Tells a person who wants to know more. */
  detail(text: string): void {
    if (this.#options.verbose && this.#speaks) {
      this.#say(text);
    }
  }

  /** Tells a person. */
  note(text: string): void {
    if (!this.#options.quiet && this.#speaks) {
      this.#say(text);
    }
  }

  /** Tells of what ends metactl, also when it is told to be quiet. */
  error(text: string, exitCode: number): void {
    if (this.#speaks) {
      this.#say(text);
    } else {
      this.event("error", { message: text, exitCode });
    }
  }

  /** Shows a line that the next one replaces. Only a person at a terminal sees it. */
  progress(text: string): void {
    if (this.hasProgress) {
      this.#options.stderr.write(`\r\x1b[K${printable(text)}`);
      this.#progress = true;
    }
  }

  /** Removes the line of {@link progress}. */
  endProgress(): void {
    if (this.#progress) {
      this.#options.stderr.write("\r\x1b[K");
      this.#progress = false;
    }
  }

  /** A person is told in words, unless standard error has events. */
  get #speaks(): boolean {
    return !this.json || this.#eventsFd !== undefined;
  }

  get #hasColours(): boolean {
    const { env, stdout } = this.#options;
    return stdout.isTTY && (env.NO_COLOR ?? "") === "" && env.TERM !== "dumb";
  }

  #say(text: string): void {
    this.endProgress();
    this.#options.stderr.write(`metactl: ${printable(text)}\n`);
  }
}

/** Whoever reads events may be gone; what holds a lock goes on. */
function writeEvent(fd: number, line: string): void {
  try {
    writeSync(fd, line);
  } catch {
    // Nobody is left to tell.
  }
}
