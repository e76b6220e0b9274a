/*
 * What this package uses of Node. Bundlers for browsers put platform-browser.ts in its place, as package.json tells them.
 */

import { setMaxListeners } from "node:events";
import { hostname } from "node:os";

export { AsyncLocalStorage } from "node:async_hooks";
export { Buffer } from "node:buffer";
export { randomUUID } from "node:crypto";
export { fileURLToPath } from "node:url";
export { inspect } from "node:util";

// Before that, each await pays for an AsyncLocalStorage.
const majorWithCheapTracking = 24;

/** Whether it costs little to know what code is called by which. */
export const tracksCheaply = Number.parseInt(process.versions.node, 10) >= majorWithCheapTracking;

/** By what people recognise this process. */
export function processName(): string {
  return `${hostname()}:${process.pid}`;
}

/** No warning is to be given, however many listen. */
export function allowManyListeners(signal: AbortSignal): void {
  // Infinity and not 0, although 0 means the same: on Node 20, getMaxListeners throws for a signal set to 0.
  setMaxListeners(Infinity, signal);
}

/** Warns whoever runs this process. */
export function warn(message: string, code: string): void {
  process.emitWarning(message, { type: "MetasrvWarning", code });
}
