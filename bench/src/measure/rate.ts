/** How many of something there had been at a time. */
export interface Mark {
  /** On the clock of `Date.now()`, which processes of one machine share. */
  readonly unixMs: number;
  readonly done: number;
}

/** How many there were a second, between two times; NaN where the marks do not reach. */
export function rateBetween(marks: readonly Mark[], fromUnixMs: number, toUnixMs: number): number {
  return ((doneAt(marks, toUnixMs) - doneAt(marks, fromUnixMs)) * 1000) / (toUnixMs - fromUnixMs);
}

/** Between two marks, they are taken to have come evenly. */
function doneAt(marks: readonly Mark[], unixMs: number): number {
  const next = marks.findIndex((mark) => mark.unixMs >= unixMs);
  const [before, after] = [marks[next - 1], marks[next]];
  if (before === undefined || after === undefined) {
    return NaN;
  }
  const share = (unixMs - before.unixMs) / (after.unixMs - before.unixMs);
  return before.done + share * (after.done - before.done);
}
