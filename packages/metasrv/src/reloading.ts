import type { Clock, Timer } from "@metasrv/wire";
import type { Logger } from "pino";

export interface ReloadingOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Reads what may have changed and puts it in force, as a whole; where it throws, it has changed nothing. */
  readonly reload: () => Promise<void>;
}

/** How often the configuration is read again, in milliseconds. To watch files would miss links that are exchanged. */
const everyMs = 30_000;

/** Reads the configuration again, from time to time and when it is told to. */
export class Reloading {
  readonly #options: ReloadingOptions;
  #last: Promise<void> = Promise.resolve();
  #timer: Timer | undefined;
  #stopped = false;
  #refused = false;

  constructor(options: ReloadingOptions) {
    this.#options = options;
    this.#later();
  }

  /** Resolves once it is done, or has failed and was logged. One follows the other. */
  now(): Promise<void> {
    this.#last = this.#last.then(async () => {
      try {
        await this.#options.reload();
        this.#refused = false;
      } catch (error) {
        this.#refused = true;
        this.#options.logger.warn(
          { err: error },
          "the configuration was not read again: the one before stays in force",
        );
      }
    });
    return this.#last;
  }

  /** What somebody should see to, for people to read by whoever asks: nothing of what the configuration says. */
  warnings(): readonly string[] {
    return this.#refused
      ? ["the configuration was not read again, the one before stays in force: the log says why"]
      : [];
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #later(): void {
    this.#timer = this.#options.clock.after(everyMs, () => {
      void this.now().then(() => {
        if (!this.#stopped) {
          this.#later();
        }
      });
    });
  }
}
