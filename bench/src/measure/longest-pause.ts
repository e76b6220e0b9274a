import type { Pause } from "../servers/loop-probe-client.js";

/** The longest pause of an event loop that touches one of these times, in milliseconds. Times are as those of pauses. */
export function longestPause(pauses: readonly Pause[], windows: readonly (readonly [number, number])[]): number {
  const within = pauses.filter(({ sinceUnixMs, untilUnixMs }) =>
    windows.some(([from, to]) => untilUnixMs > from && sinceUnixMs < to),
  );
  return within.reduce((most, { longestMs }) => Math.max(most, longestMs), 0);
}
