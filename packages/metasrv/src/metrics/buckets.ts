/** How many of the values seen were at most as large as each bound: a histogram, as cheap to fill as can be. */
export class Buckets {
  readonly bounds: readonly number[];
  /** How many values were in each bucket and in none below; one more for values above all bounds. */
  readonly counts: Float64Array;
  sum = 0;

  /** @param bounds - upper bounds, rising */
  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  add(value: number): void {
    const { bounds, counts } = this;
    let at = 0;
    while (at < bounds.length && value > (bounds[at] ?? Infinity)) {
      at++;
    }
    counts[at] = (counts[at] ?? 0) + 1;
    this.sum += value;
  }
}

/** Bounds for durations, in seconds: from one millisecond to five minutes. */
export const secondsBounds: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300,
];

/** Bounds for commands of an entry, of which there are at most 4,096. */
export const commandsBounds: readonly number[] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096];
