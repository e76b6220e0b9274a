import { median } from "../measure/statistics.js";

const mebibyte = 1024 ** 2;

/**
 * Growth that may be chance. Resident memory includes what the garbage collector keeps for later, which follows the
 * rate of the load. The heap is measured after a collection.
 */
const tolerated = {
  heap: { ratio: 1.1, bytes: 4 * mebibyte },
  resident: { ratio: 1.25, bytes: 32 * mebibyte },
} as const;

/** Whether memory stayed flat. */
export interface Flatness {
  readonly flat: boolean;
  /** Medians of the second and the last quarter of the time. In the first quarter everything warms up. */
  readonly earlierBytes: number;
  readonly laterBytes: number;
}

/** Judges measurements taken at equal intervals. */
export function judgeFlatness(kind: keyof typeof tolerated, bytes: readonly number[]): Flatness {
  const quarter = bytes.length / 4;
  const earlierBytes = median(bytes.slice(Math.floor(quarter), Math.ceil(2 * quarter)));
  const laterBytes = median(bytes.slice(Math.floor(3 * quarter)));
  const { ratio, bytes: slack } = tolerated[kind];
  return { flat: laterBytes <= earlierBytes * ratio + slack, earlierBytes, laterBytes };
}
