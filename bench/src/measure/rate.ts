/** A count at a moment. */
export interface Mark {
  /** On the clock of `Date.now()`, which processes of one machine share. */
  readonly unixMs: number;
  readonly done: number;
}

/** How many there were a second, between two moments; NaN if the marks do not reach them. */
export function rateBetween(marks: readonly Mark[], fromUnixMs: number, toUnixMs: number): number {
  return ((doneAt(marks, toUnixMs) - doneAt(marks, fromUnixMs)) * 1000) / (toUnixMs - fromUnixMs);
}

/** Between two marks, the count is taken to rise evenly. */
function doneAt(marks: readonly Mark[], unixMs: number): number {
  const next = marks.findIndex((mark) => mark.unixMs >= unixMs);
  const [before, after] = [marks[next - 1], marks[next]];
  if (before === undefined || after === undefined) {
    return NaN;
  }
  const share = (unixMs - before.unixMs) / (after.unixMs - before.unixMs);
  return before.done + share * (after.done - before.done);
}
