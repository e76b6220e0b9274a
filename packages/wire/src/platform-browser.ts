// In browsers, in place of platform.ts; see there.

export { Buffer } from "buffer/index.js";

const strict = new TextDecoder("utf-8", { fatal: true });

export function isUtf8(bytes: Uint8Array): boolean {
  try {
    strict.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

export function fillRandomly(bytes: Uint8Array<ArrayBuffer>): void {
  crypto.getRandomValues(bytes);
}

let latestMs = 0;

/** The time of day, which goes on in a suspended machine, but never back. Whoever sets it forward ends holds too early. */
export function bootMs(): number {
  latestMs = Math.max(latestMs, Date.now());
  return latestMs;
}

export function holdProcess(): void {
  // A page ends when it is closed.
}

export const callNext = queueMicrotask;

const turns = new MessageChannel();
let waiting: (() => void)[] = [];
// As browsers have it, and not as Node does.
(turns.port1 as unknown as { onmessage: () => void }).onmessage = () => {
  const due = waiting;
  waiting = [];
  for (const callback of due) {
    callback();
  }
};

export function callAfterTurn(callback: () => void): void {
  if (waiting.push(callback) === 1) {
    turns.port2.postMessage(undefined);
  }
}
