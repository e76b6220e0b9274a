import { pino } from "pino";
import { terminalSafe } from "./model/terminal-safe.js";

/** Fields that have a place of their own, or that only programs need. */
const shown = new Set(["level", "time", "msg", "pid", "hostname", "err"]);

/** A line of the JSON log, for people: the time, the level, the message, and what else there is. Any other line as it is. */
export function prettyLine(line: string): string {
  let fields: Readonly<Record<string, unknown>>;
  try {
    fields = JSON.parse(line) as Readonly<Record<string, unknown>>;
  } catch {
    return line;
  }
  const { level, time, msg, err } = fields;
  const at = new Date(Number(time)).toISOString();
  const name = (pino.levels.labels[Number(level)] ?? String(level)).toUpperCase().padEnd(5);
  const rest = Object.entries(fields)
    .filter(([key]) => !shown.has(key))
    .map(
      ([key, value]) =>
        ` ${key}=${typeof value === "string" && /^[\w./:-]+$/.test(value) ? value : JSON.stringify(value)}`,
    );
  return terminalSafe(`${at} ${name} ${String(msg)}${rest.join("")}\n${stackOf(err)}`);
}

function stackOf(err: unknown): string {
  if (typeof err !== "object" || err === null || !("stack" in err)) {
    return "";
  }
  return `${String(err.stack).replace(/^/gm, "    ")}\n`;
}
