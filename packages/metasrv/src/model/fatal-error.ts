/**
 * This process must end at once, before it grants anything more: an invariant of our own is broken, or the log has
 * something that this version cannot read. The message says what to do.
 */
export class FatalError extends Error {
  override readonly name = "FatalError";
}

/**
 * Ends the process and says why. In a server it never returns. In tests it may return, and nothing more is delivered
 * then.
 */
export type Fatal = (error: Error) => void;

/** Whether an error can only come from a fault in the program, not from etcd or a request. */
export function isProgramFault(error: unknown): error is Error {
  return (
    error instanceof FatalError ||
    error instanceof TypeError ||
    error instanceof RangeError ||
    error instanceof ReferenceError
  );
}
