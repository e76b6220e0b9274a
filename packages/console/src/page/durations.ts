const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** A time that has passed, for people: `12 s`, `3 min 5 s`, `2 h 7 min`, `4 d 3 h`. */
export function shownDuration(ms: number): string {
  const whole = Math.max(0, ms);
  if (whole < minute) {
    return `${Math.floor(whole / second)} s`;
  }
  if (whole < hour) {
    return two(whole, minute, "min", second, "s");
  }
  return whole < day ? two(whole, hour, "h", minute, "min") : two(whole, day, "d", hour, "h");
}

function two(ms: number, large: number, largeUnit: string, small: number, smallUnit: string): string {
  const rest = Math.floor((ms % large) / small);
  return `${Math.floor(ms / large)} ${largeUnit}${rest === 0 ? "" : ` ${rest} ${smallUnit}`}`;
}
