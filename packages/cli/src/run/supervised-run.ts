import { closeSync, openSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { HeldLocks } from "@metasrv/meta-client";
import { SignalError } from "../exit-codes.js";
import { messageOf } from "../message-of.js";
import type { Output } from "../output.js";
import { type ChildEnd, GuardedChild } from "./guarded-child.js";
import { abortedByEnd, type HandledSignal, isEnding, type Signals, stopThisProcess } from "./signals.js";

/**
 * How long before the end of the hold the child is killed, in milliseconds. It covers what it takes to be scheduled, and the
 * guard's pause between its signals.
 */
export const killMarginMs = 500;

/** How long a child may take to stop by itself on a terminal's SIGTSTP. */
const stopsWithinMs = 200;

const lookIntervalMs = 20;

/** What is run, and for how long it may take to stop. */
export interface RunOptions {
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Between SIGTERM and SIGKILL when the lock is lost, in milliseconds. */
  readonly graceMs: number;
  /** A process group of its own also where there is a terminal. */
  readonly group: boolean;
  readonly secret?: { readonly fd: number; readonly text: string } | undefined;
}

/** How a run ended. */
export interface RunEnd extends ChildEnd {
  /** Why the child was stopped; undefined if it ended while the lock was held. */
  readonly lost: unknown;
  /** Aborts with a SignalError when this process was asked to end after the loss or after the child's end, or will be. */
  readonly asked: AbortSignal;
}

/**
 * Runs a command while the lock is held. When it is about to end, or is lost, the command is stopped: it is dead
 * {@link killMarginMs} before the hold ends. The lock must abort its signal `graceMs + killMarginMs` before that.
 *
 * @throws ExitError (126, 127) when the command cannot be started
 */
export async function runUnderLock(
  lock: HeldLocks,
  signals: Signals,
  output: Output,
  options: RunOptions,
): Promise<RunEnd> {
  const ownGroup = options.group || !hasTerminal();
  // The command runs before this process knows that it does.
  const early: HandledSignal[] = [];
  signals.giveTo((signal) => early.push(signal));
  const child = await GuardedChild.start({ ...options, ownGroup });
  const askedWhileLost = new AbortController();
  const pass = (signal: HandledSignal): void => {
    if (lock.signal.aborted && isEnding(signal)) {
      askedWhileLost.abort(new SignalError(signal));
    }
    forward(signal, child, lock, ownGroup);
  };
  signals.giveTo(pass);
  early.forEach(pass);
  const lost = new Promise<"lost">((resolve) => {
    const onLost = (): void => {
      resolve("lost");
    };
    if (lock.signal.aborted) {
      onLost();
    } else {
      lock.signal.addEventListener("abort", onLost, { once: true });
    }
  });
  const first = await Promise.race([child.ended, lost]);
  if (first === "lost") {
    const reason: unknown = lock.signal.reason;
    output.event("lost", { reason: messageOf(reason) });
    output.note(`${messageOf(reason)} The command is stopped.`);
    await stop(child, lock, options.graceMs);
  }
  const end = await child.ended;
  // What it has left in its group in the background is told of no more signals.
  const asked = AbortSignal.any([askedWhileLost.signal, abortedByEnd(signals)]);
  child.dismissGuard();
  return { ...end, lost: first === "lost" ? lock.signal.reason : undefined, asked };
}

function forward(signal: HandledSignal, child: GuardedChild, lock: HeldLocks, ownGroup: boolean): void {
  switch (signal) {
    case "SIGTSTP":
      void suspend(child, ownGroup);
      return;
    case "SIGCONT":
      // The lock may be somebody else's by now, so the child must not go on.
      child.send(lock.held ? "SIGCONT" : "SIGKILL");
      return;
    default:
      // What ends a job at a terminal reaches the child from there. To send it again would be to ask twice.
      if (ownGroup || !isEnding(signal) || signal === "SIGTERM") {
        child.send(signal);
      }
  }
}

/** Stops the child, then this process. */
async function suspend(child: GuardedChild, ownGroup: boolean): Promise<void> {
  if (!ownGroup) {
    // The terminal has told the child as well. It may have to put the screen in order first, but may not go on.
    await sleep(stopsWithinMs);
  }
  // The system ignores SIGTSTP for a group whose session has no terminal.
  child.send("SIGSTOP");
  stopThisProcess();
}

/** Resolves when nobody is left of the child. */
async function stop(child: GuardedChild, lock: HeldLocks, graceMs: number): Promise<void> {
  const graceEndsMs = performance.now() + graceMs;
  child.send("SIGTERM");
  child.send("SIGCONT");
  // The end of the hold comes nearer when the machine was suspended, so it is read again each time.
  const leftMs = (): number => Math.min(graceEndsMs, lock.expiresAtMs - killMarginMs) - performance.now();
  while (!child.isGone && leftMs() > 0) {
    await sleep(Math.min(leftMs(), lookIntervalMs));
  }
  child.send("SIGKILL");
  // Where nobody reaps orphans, a group of dead processes stays.
  const waitedForMs = performance.now() + killMarginMs;
  while (!child.isGone && performance.now() < waitedForMs) {
    await sleep(lookIntervalMs);
  }
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync("/dev/tty", "r"));
    return true;
  } catch {
    return false;
  }
}
