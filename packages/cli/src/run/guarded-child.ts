import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process";
import { once } from "node:events";
import type { Writable } from "node:stream";
import { exitCodes, ExitError } from "../exit-codes.js";
import { Guard } from "./guard.js";

/** How to start a {@link GuardedChild}. */
export interface GuardedChildOptions {
  /** The program and its arguments. */
  readonly argv: readonly string[];
  /** Its whole environment. */
  readonly env: NodeJS.ProcessEnv;
  /** Whether it gets a session and a process group of its own, so that signals reach all of its descendants in that group. */
  readonly ownGroup: boolean;
  /** A text that it can read from a file descriptor. */
  readonly secret?: { readonly fd: number; readonly text: string } | undefined;
}

/** How a child ended. */
export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/**
 * A child process with the standard streams of this one, which a {@link Guard} ends if this process is killed.
 */
export class GuardedChild {
  /** Resolves when the child itself has ended. */
  readonly ended: Promise<ChildEnd>;
  readonly #target: number;
  readonly #guard: Guard;
  #hasEnded = false;

  private constructor(target: number, guard: Guard, ended: Promise<ChildEnd>) {
    this.#target = target;
    this.#guard = guard;
    this.ended = ended.then((end) => {
      this.#hasEnded = true;
      return end;
    });
  }

  /** @throws ExitError: 127 when there is no such program, 126 when it cannot be executed */
  static async start({ argv, env, ownGroup, secret }: GuardedChildOptions): Promise<GuardedChild> {
    const [command = "", ...args] = argv;
    const guard = new Guard();
    const inherited = ["inherit", "inherit", "inherit"] as const;
    // Other descriptors below the secret's are not there, as without a secret.
    const between = Array.from({ length: Math.max(0, (secret?.fd ?? 3) - 3) }, () => "ignore" as const);
    const stdio = [...inherited, ...between, ...(secret === undefined ? [] : (["pipe"] as const))];
    const child = spawnOrExplain(guard, command, args, { env, detached: ownGroup, stdio });
    const { pid } = child;
    if (pid === undefined) {
      guard.dismiss();
      const [error] = (await once(child, "error")) as [NodeJS.ErrnoException];
      throw notStarted(command, error);
    }
    // In the same turn, so that the guard knows the child before this process can be gone.
    const target = ownGroup ? -pid : pid;
    guard.watch(target);
    // After this, "error" can only mean that a signal could not be sent.
    child.on("error", () => undefined);
    const pipe = secret === undefined ? undefined : (child.stdio[secret.fd] as Writable | null | undefined);
    // The child need not read it.
    pipe?.on("error", () => undefined);
    pipe?.end(`${secret?.text}\n`);
    const ended = new Promise<ChildEnd>((resolve) => {
      child.once("exit", (code, signal) => {
        pipe?.destroy();
        resolve({ code, signal });
      });
    });
    return new GuardedChild(target, guard, ended);
  }

  /** Sends a signal to the child, or to its group if it has one of its own. Does nothing if nobody is left there. */
  send(signal: NodeJS.Signals): void {
    if (this.isGone) {
      return;
    }
    try {
      process.kill(this.#target, signal);
    } catch {
      // They have ended.
    }
  }

  /** Whether nobody is left: neither the child, nor anyone else in a group of its own. */
  get isGone(): boolean {
    // A process id may be given to another process. That of a group cannot while anybody is in the group.
    if (this.#hasEnded && this.#target > 0) {
      return true;
    }
    try {
      process.kill(this.#target, 0);
      return false;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "ESRCH";
    }
  }

  /** The child has ended in order, and what it has left in the background may go on. */
  dismissGuard(): void {
    this.#guard.dismiss();
  }
}

/** Some errors are thrown at once, others come as an event. */
function spawnOrExplain(guard: Guard, command: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  try {
    return spawn(command, args, options);
  } catch (error) {
    guard.dismiss();
    throw notStarted(command, error as NodeJS.ErrnoException);
  }
}

function notStarted(command: string, error: NodeJS.ErrnoException): ExitError {
  return error.code === "ENOENT"
    ? new ExitError(exitCodes.notFound, `${command}: command not found`, { cause: error })
    : new ExitError(exitCodes.notExecutable, `${command}: cannot be executed: ${error.message}`, { cause: error });
}
