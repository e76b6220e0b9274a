/*
 * What this package uses of Node. Bundlers for browsers put platform-browser.ts in its place, as package.json tells them.
 */

import { uptime } from "node:os";

export { Buffer, isUtf8 } from "node:buffer";
export { randomFillSync as fillRandomly } from "node:crypto";

/** Time since the machine was started, its suspensions included, in milliseconds. */
export function bootMs(): number {
  return uptime() * 1_000;
}

/** Whether a timer that has been set keeps the process alive. */
export function holdProcess(timer: NodeJS.Timeout, holds: boolean): void {
  if (holds) {
    timer.ref();
  } else {
    timer.unref();
  }
}

/** Calls back after the callback that is running. */
export function callNext(callback: () => void): void {
  process.nextTick(callback);
}

/** Calls back after this turn of the event loop. */
export function callAfterTurn(callback: () => void): void {
  setImmediate(callback);
}
