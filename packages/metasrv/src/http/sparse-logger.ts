import type { Clock } from "@metasrv/wire";
import type { Logger } from "pino";

/** How often one message may be written, in milliseconds. */
const everyMs = 10_000;

/** Writes each message at most once in ten seconds, so that strangers cannot fill the log. */
export class SparseLogger {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #written = new Map<string, { atMs: number; leftOut: number }>();

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  /** @param message - one of a few; what differs belongs into the fields */
  warn(fields: Readonly<Record<string, unknown>>, message: string): void {
    const nowMs = this.#clock.now();
    const last = this.#written.get(message);
    if (last !== undefined && nowMs - last.atMs < everyMs) {
      last.leftOut++;
      this.#logger.debug(fields, message);
      return;
    }
    const leftOut = last?.leftOut ?? 0;
    this.#written.set(message, { atMs: nowMs, leftOut: 0 });
    this.#logger.warn(leftOut > 0 ? { ...fields, leftOut } : fields, message);
  }
}
