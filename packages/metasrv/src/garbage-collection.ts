import { setFlagsFromString } from "node:v8";

/**
 * Sets how V8 collects the garbage of this process, from now on. For a server with many locks, each collection of old objects is a
 * pause; see docs/decisions/030.
 */
export function setGarbageCollection(): void {
  // Objects that are made while a server starts, or is at its limit, live long enough for V8 to make all later ones of their kind old
  // from the beginning.
  setFlagsFromString("--no-allocation-site-pretenuring");
  // Old objects are collected when they have doubled. V8's own choice is a tenth more where few become old: every minute,
  // to save memory that is there.
  setFlagsFromString("--heap-growing-percent=100");
}
