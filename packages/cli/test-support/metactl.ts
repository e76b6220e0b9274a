import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { until } from "@metasrv/testing";

/** The program `metactl`. */
export const bin = fileURLToPath(new URL("../bin/metactl.js", import.meta.url));

/** How to start `metactl`. */
export interface MetactlOptions {
  readonly args: readonly string[];
  /** URL of the server; absent: the default one. */
  readonly url?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Beyond the standard streams, so many pipes that it inherits; {@link Metactl.read} reads them. */
  readonly pipes?: number;
}

/** How `metactl` ended, and what it wrote. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running `metactl`, in a session of its own. Disposing of it kills it. */
export class Metactl implements AsyncDisposable {
  readonly ended: Promise<Ended>;
  readonly #process: ChildProcess;
  readonly #texts: string[];

  private constructor(process: ChildProcess) {
    this.#process = process;
    this.#texts = process.stdio.map(() => "");
    process.stdio.forEach((stream, at) => {
      stream?.on("error", () => undefined);
      if (at > 0 && stream && "setEncoding" in stream) {
        stream.setEncoding("utf8");
        stream.on("data", (text: string) => (this.#texts[at] = this.read(at) + text));
      }
    });
    this.ended = once(process, "close").then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
      stdout: this.read(1),
      stderr: this.read(2),
    }));
  }

  /** Starts it without a terminal. */
  static start(options: MetactlOptions): Metactl {
    return Metactl.startOther(process.execPath, { ...options, args: [bin, ...options.args] });
  }

  /** Starts it at a terminal of its own. What it writes is {@link stdout}, and {@link write} types. */
  static startAtTerminal(options: MetactlOptions): Metactl {
    return Metactl.startOtherAtTerminal(process.execPath, { ...options, args: [bin, ...options.args] });
  }

  /** Starts another program, such as a shell that calls `metactl`. */
  static startOther(program: string, options: MetactlOptions): Metactl {
    return Metactl.#spawn(program, options.args, options);
  }

  /** Starts another program at a terminal, such as a shell in which `metactl` is typed. */
  static startOtherAtTerminal(program: string, options: MetactlOptions): Metactl {
    const words = [program, ...options.args].map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`);
    return Metactl.#spawn("script", ["-q", "-e", "-c", `exec ${words.join(" ")}`, "/dev/null"], options);
  }

  static #spawn(command: string, args: readonly string[], { url, env, pipes = 0 }: MetactlOptions): Metactl {
    const extra = Array.from({ length: pipes }, () => "pipe" as const);
    return new Metactl(
      spawn(command, args, {
        env: { ...withoutOurs(process.env), ...(url === undefined ? {} : { METASRV_ENDPOINTS: url }), ...env },
        stdio: ["pipe", "pipe", "pipe", ...extra],
        detached: true,
      }),
    );
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  get stdout(): string {
    return this.read(1);
  }

  get stderr(): string {
    return this.read(2);
  }

  /** What it has written to a descriptor so far. */
  read(fd: number): string {
    return this.#texts[fd] ?? "";
  }

  /** Writes to its standard input. */
  write(text: string): void {
    (this.#process.stdio[0] as NodeJS.WritableStream).write(text);
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Resolves when it has written something to its standard output that matches; with what matches. */
  async written(pattern: RegExp, fd = 1): Promise<RegExpExecArray> {
    await until(() => pattern.test(this.read(fd)), { what: `${pattern} in the output` }).catch((error: unknown) => {
      throw new Error(`${String(error)}; its output: ${this.read(1)}; its errors: ${this.read(2)}`);
    });
    const found = pattern.exec(this.read(fd));
    if (found === null) {
      throw new Error(`${pattern} must not have the flag g`);
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    // What it started may live on, and keep the pipes open.
    this.#process.stdio.forEach((stream) => stream?.destroy());
    await this.ended;
  }
}

/** Runs `metactl` to its end. */
export async function metactl(options: MetactlOptions): Promise<Ended> {
  await using started = Metactl.start(options);
  return await started.ended;
}

/** Whether a process runs, or is stopped. One that has ended and was not reaped yet does not. */
export function isAlive(pid: number): boolean {
  try {
    // The state follows the name, which is in parentheses and may contain any characters.
    return !/^[ZX]/.test(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1) ?? "");
  } catch {
    return false;
  }
}

function withoutOurs(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const entries = Object.entries(env).filter(([name]) => !/^METASRV_|^NODE_OPTIONS$|^XDG_CONFIG_HOME$/u.test(name));
  return { ...Object.fromEntries(entries), XDG_CONFIG_HOME: "/nonexistent" };
}
