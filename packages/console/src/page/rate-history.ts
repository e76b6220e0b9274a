import type { WatchLocksMessage } from "./inspect-messages.js";
import type { LockBoard } from "./lock-board.js";

/** So many samples are kept, one a second: ten minutes. */
const mostSamples = 600;

/** What a chart shows: one array for each line, the first one of times in seconds of Unix time. */
export type Series = readonly (readonly number[])[];

/** How much went on, a sample a second. */
export class RateHistory {
  readonly #timesS: number[] = [];
  readonly #granted: number[] = [];
  readonly #expired: number[] = [];
  readonly #locks: number[] = [];
  readonly #waiting: number[] = [];
  #newGranted = 0;
  #newExpired = 0;
  #sampledAtMs = performance.now();

  /** Grants a second, and expiries, in the last second. */
  get latest(): { readonly granted: number; readonly expired: number } {
    return { granted: this.#granted.at(-1) ?? 0, expired: this.#expired.at(-1) ?? 0 };
  }

  get rates(): Series {
    return [this.#timesS, this.#granted, this.#expired];
  }

  get counts(): Series {
    return [this.#timesS, this.#locks, this.#waiting];
  }

  count({ granted = "0", expired = "0" }: WatchLocksMessage): void {
    this.#newGranted += Number(granted);
    this.#newExpired += Number(expired);
  }

  sample(nowMs: number, { locks, waiters }: Pick<LockBoard, "locks" | "waiters">): void {
    const seconds = Math.max(0.001, (nowMs - this.#sampledAtMs) / 1_000);
    const values = [Date.now() / 1_000, this.#newGranted / seconds, this.#newExpired / seconds, locks, waiters];
    for (const [at, line] of this.#lines().entries()) {
      line.push(values[at] ?? 0);
      if (line.length > mostSamples) {
        line.shift();
      }
    }
    this.#newGranted = 0;
    this.#newExpired = 0;
    this.#sampledAtMs = nowMs;
  }

  clear(): void {
    for (const line of this.#lines()) {
      line.length = 0;
    }
    this.#newGranted = 0;
    this.#newExpired = 0;
  }

  #lines(): readonly number[][] {
    return [this.#timesS, this.#granted, this.#expired, this.#locks, this.#waiting];
  }
}
