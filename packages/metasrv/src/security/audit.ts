import type { Clock, Timer } from "@metasrv/wire";
import { terminalSafe } from "../model/terminal-safe.js";

/** What a line says besides its time and event. What is undefined is left out. */
export type AuditFields = Readonly<Record<string, string | number | undefined>>;

export interface AuditOptions {
  /** Takes a line, with its end; must not throw. */
  readonly write: (line: string) => void;
  readonly clock: Clock;
  /** The time of day, in milliseconds of Unix time; replaced only in tests. */
  readonly unixMs?: () => number;
}

/** How many refusals of one principal are written down in a second. Of the others, only how many there were. */
export const mostDenied = 20;

/** How long refusals are counted, in milliseconds. */
const countedMs = 1_000;

/** Writes down who did what, a line of JSON each. */
export class Audit {
  readonly #write: (line: string) => void;
  readonly #clock: Clock;
  readonly #unixMs: () => number;
  /** How many refusals there were in this second, by principal. */
  readonly #denied = new Map<string, number>();
  #timer: Timer | undefined;

  constructor({ write, clock, unixMs = Date.now }: AuditOptions) {
    this.#write = write;
    this.#clock = clock;
    this.#unixMs = unixMs;
  }

  write(event: string, fields: AuditFields = {}): void {
    const line = JSON.stringify({ time: new Date(this.#unixMs()).toISOString(), event, ...fields });
    this.#write(`${terminalSafe(line)}\n`);
  }

  /**
   * Writes down that somebody was refused.
   *
   * @param principal - empty for somebody unknown
   */
  denied(principal: string, fields: AuditFields): void {
    const count = (this.#denied.get(principal) ?? 0) + 1;
    this.#denied.set(principal, count);
    this.#timer ??= this.#clock.after(countedMs, () => {
      this.#tellLeftOut();
    });
    if (count <= mostDenied) {
      this.write("denied", { ...fields, outcome: "denied" });
    }
  }

  /** Ends its timer, and tells what was left out. */
  close(): void {
    this.#timer?.cancel();
    this.#tellLeftOut();
  }

  #tellLeftOut(): void {
    this.#timer = undefined;
    for (const [principal, count] of this.#denied) {
      if (count > mostDenied) {
        this.write("denied, left out", { principal: principal || undefined, count: count - mostDenied });
      }
    }
    this.#denied.clear();
  }
}
