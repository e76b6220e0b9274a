import { InvalidArgumentError } from "commander";

const unitMs: Partial<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/**
 * Milliseconds of a text such as `500ms`, `30s`, `2m` or `1h`.
 *
 * @throws commander's InvalidArgumentError for another text
 */
export function parseDuration(text: string): number {
  const { amount, unit = "" } = /^(?<amount>\d{1,9})(?<unit>ms|s|m|h)$/.exec(text)?.groups ?? {};
  const scale = unitMs[unit];
  if (amount === undefined || scale === undefined) {
    throw new InvalidArgumentError("Expected a whole number with its unit, such as 500ms, 30s, 2m or 1h.");
  }
  return Number(amount) * scale;
}

const shownUnits = [
  { ms: 86_400_000, unit: "d" },
  { ms: 3_600_000, unit: "h" },
  { ms: 60_000, unit: "m" },
];

/** A time in its largest unit, rounded down, for people: `0s`, `59s`, `2m`, `3h`, `5d`. */
export function formatDuration(durationMs: number): string {
  const { ms, unit } = shownUnits.find((shown) => durationMs >= shown.ms) ?? { ms: 1_000, unit: "s" };
  return `${Math.floor(durationMs / ms)}${unit}`;
}
