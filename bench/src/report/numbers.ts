/** A number with three significant digits, thousands separated. */
export function threeDigits(value: number): string {
  if (!Number.isFinite(value)) {
    return "–";
  }
  const size = Math.abs(value);
  if (size >= 1000) {
    return Math.round(value).toLocaleString("en-US");
  }
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return value.toFixed(digits);
}

/** As {@link threeDigits}, or a dash for an unknown value. */
export function orDash(value: number | undefined): string {
  return value === undefined ? "–" : threeDigits(value);
}
