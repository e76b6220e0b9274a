import { z } from "zod";

const unitMs: Partial<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** What a duration looks like, for people. */
export const durationForm = "a whole number with its unit, such as 500ms, 30s, 5m or 1h";

const pattern = /^(?<amount>\d{1,9})(?<unit>ms|s|m|h)$/;

/** A duration in a file: a text with its unit. It stays a text; {@link durationMs} reads it. */
export const duration = z.string(durationForm).regex(pattern, durationForm);

/** Milliseconds of a text such as `500ms`, `30s`, `5m` or `1h`; undefined if it is none. */
export function durationMs(text: string): number | undefined {
  const { amount, unit = "" } = pattern.exec(text)?.groups ?? {};
  const scale = unitMs[unit];
  return amount === undefined || scale === undefined ? undefined : Number(amount) * scale;
}
