import { type ChildProcess, spawn } from "node:child_process";

// It reads whom to end, then waits for a word. If none comes, whoever would have said it is gone.
const script = `
read -r target || exit 0
read -r word && exit 0
kill -s TERM -- "$target" 2>/dev/null
sleep 0.2
kill -s KILL -- "$target" 2>/dev/null
`;

/**
 * A process of its own that ends a child when this process is gone, however it went: nothing can catch SIGKILL. It learns of
 * that by the end of a pipe that only this process holds open.
 */
export class Guard {
  readonly #process: ChildProcess;

  /** Starts it, in a session of its own, where no signal of a terminal reaches it. */
  constructor() {
    this.#process = spawn("/bin/sh", ["-c", script], {
      cwd: "/",
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
    });
    // A guard that could not be started, or that somebody has ended, guards nothing; the child itself is not concerned.
    this.#process.on("error", () => undefined);
    this.#process.stdin?.on("error", () => undefined);
    this.#process.unref();
  }

  /** From now on, it ends these. @param target - a process id, or a process group as its negative */
  watch(target: number): void {
    this.#process.stdin?.write(`${target}\n`);
  }

  /** It is needed no more, and ends. */
  dismiss(): void {
    this.#process.stdin?.end("done\n");
  }
}
