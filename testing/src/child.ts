import type { ChildProcessByStdio } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { Host } from "./host.js";
import { until } from "./until.js";

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** How to start a {@link Child}. */
export interface ChildOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment of the process. */
  readonly env: NodeJS.ProcessEnv;
  /** Where it runs; absent: on this machine as it is. */
  readonly host?: Host | undefined;
  /** Called with each line that the process writes to its standard output. */
  readonly onStdoutLine?: (line: string) => void;
}

const TAIL_LINES = 30;

// On Linux the kernel ends a child when this process ends, in whatever way, so that an aborted test run leaves nothing
// behind. This command replaces itself by the command that follows, so the pid is that command's.
const SETPRIV = "/usr/bin/setpriv";
const DIES_WITH_US = existsSync(SETPRIV) ? [SETPRIV, "--pdeathsig", "KILL", "--"] : [];

/** A child process. It is only ever ended by its own pid, and its last lines of output are kept for error messages. */
export class Child {
  readonly pid: number;
  /** Resolves when the process has ended and its output has been read. Never rejects. */
  readonly exited: Promise<Exit>;

  readonly #process: ChildProcessByStdio<null, Readable, Readable>;
  readonly #command: string;
  readonly #tail: string[] = [];
  #exit: Exit | undefined;

  private constructor(process: ChildProcessByStdio<null, Readable, Readable>, pid: number, options: ChildOptions) {
    this.pid = pid;
    this.#process = process;
    this.#command = options.command;
    createInterface(process.stdout).on("line", (line) => {
      this.#remember(line);
      options.onStdoutLine?.(line);
    });
    createInterface(process.stderr).on("line", (line) => {
      this.#remember(line);
    });
    this.exited = new Promise((resolve) => {
      process.once("close", (code, signal) => {
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
  }

  /**
   * Starts the process.
   *
   * @throws Error when it cannot be started at all, for instance because there is no such file.
   */
  static async start(options: ChildOptions): Promise<Child> {
    const line = [...DIES_WITH_US, ...(options.host?.enter ?? []), options.command, ...options.args];
    const [command = options.command, ...args] = line;
    const process = spawn(command, args, { env: options.env, stdio: ["ignore", "pipe", "pipe"] });
    const { pid } = process;
    if (pid === undefined) {
      const [error] = (await once(process, "error")) as [Error];
      throw error;
    }
    // After this, "error" can only mean that a signal could not be sent, which `signal` reports.
    process.on("error", () => undefined);
    return new Child(process, pid, options);
  }

  /** How the process ended; undefined while it runs. */
  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** The last lines of its output and error output, to be shown in an error. */
  get tail(): string {
    return [`last lines of ${this.#command} (pid ${this.pid}):`, ...this.#tail].join("\n  ");
  }

  /**
   * Sends a signal. Resolves at once, or, for SIGKILL, when the process has ended, and for SIGSTOP, when all its threads have
   * stopped. Does nothing after its end.
   */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    this.#process.kill(signal);
    if (signal === "SIGKILL") {
      await this.exited;
    } else if (signal === "SIGSTOP") {
      await until(() => this.#exit !== undefined || hasStopped(this.pid), { what: `pid ${this.pid} to stop` });
    }
  }

  /**
   * Asks the process to end (SIGTERM) and resolves when it has.
   *
   * @throws Error when it did not end in time; it is killed then.
   */
  async stop(timeoutMs = 30_000): Promise<Exit> {
    this.#process.kill("SIGTERM");
    const patience = new AbortController();
    const exit = await Promise.race([
      this.exited,
      sleep(timeoutMs, undefined, { signal: patience.signal }).catch(() => undefined),
    ]);
    patience.abort();
    if (exit === undefined) {
      await this.kill();
      throw new Error(`${this.#command} did not end within ${timeoutMs} ms of SIGTERM; ${this.tail}`);
    }
    return exit;
  }

  #remember(line: string): void {
    this.#tail.push(line);
    if (this.#tail.length > TAIL_LINES) {
      this.#tail.shift();
    }
  }
}

/** Whether no thread of a process runs, because a signal stopped it. A thread may still run for a moment after the signal. */
function hasStopped(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/task`)) {
    return true;
  }
  return readdirSync(`/proc/${pid}/task`).every((task) => {
    // The state follows the name, which is in parentheses and may contain any characters.
    return readFileSync(`/proc/${pid}/task/${task}/stat`, "utf8").split(") ").at(-1)?.startsWith("T") === true;
  });
}
