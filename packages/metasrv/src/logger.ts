import { type DestinationStream, type Logger, pino } from "pino";
import { prettyLine } from "./pretty-line.js";

/** How log lines are written: for programs, or for people. */
export const logFormats = ["json", "pretty"] as const;

export type LogFormat = (typeof logFormats)[number];

export interface LoggerOptions {
  /** The least that is logged, as pino names levels. */
  readonly level: string;
  readonly format: LogFormat;
  readonly output: DestinationStream;
}

/**
 * Lines that say the same again and again while something is wrong. One is written at once, and then one every
 * {@link repeatedEveryMs}, with how many there were in between.
 */
export const repeatedMessages: ReadonlySet<unknown> = new Set([
  "a TLS handshake failed",
  "a client was refused for its certificate",
  "a connection could not be accepted",
  "a connection was refused",
  "a request failed unexpectedly",
  "could not join yet; trying again",
  "etcd does not answer yet; trying again",
  "takeover of a gone member's tickets was interrupted; it goes on when the store answers",
  "the watch is behind the store; opening another",
]);

/** In milliseconds. */
export const repeatedEveryMs = 10_000;

/** The server's log. */
export function createLogger({ level, format, output }: LoggerOptions): Logger {
  const repeats = new Map<unknown, { readonly sinceMs: number; left: number }>();
  const written =
    format === "json"
      ? output
      : {
          write: (line: string) => {
            output.write(prettyLine(line));
          },
        };
  return pino(
    {
      level,
      hooks: {
        logMethod(args, method) {
          const [fields, message] = args as [unknown, unknown];
          const text = typeof fields === "string" ? fields : message;
          if (!repeatedMessages.has(text)) {
            method.apply(this, args);
            return;
          }
          const nowMs = performance.now();
          const last = repeats.get(text);
          if (last !== undefined && nowMs - last.sinceMs < repeatedEveryMs) {
            last.left++;
            return;
          }
          repeats.set(text, { sinceMs: nowMs, left: 0 });
          const more = last === undefined || last.left === 0 ? {} : { repeated: last.left };
          method.call(this, { ...(typeof fields === "object" ? fields : {}), ...more }, String(text));
        },
      },
    },
    written,
  );
}
