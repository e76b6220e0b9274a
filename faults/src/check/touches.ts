import type { FaultSpan } from "../history/history.js";

/** Whether something was broken, or not yet well again, at some moment of a time. */
export function touches({ beginUs, endUs }: FaultSpan, fromUs: number, toUs: number): boolean {
  return beginUs <= toUs && endUs >= fromUs;
}
