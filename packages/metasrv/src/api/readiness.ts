import type { Clock, Timer } from "@metasrv/wire";

/** What a readiness is made of. */
export interface ReadinessOptions {
  readonly clock: Clock;
  /** What keeps this server from serving well, for people to read; none when it does. */
  readonly problems: () => readonly string[];
}

/** How often it is looked at while somebody watches it, in milliseconds: problems come with time, not by events. */
const lookMs = 500;

/** Whether this server is to be sent requests. It serves those that come all the same. */
export class Readiness {
  readonly #options: ReadinessOptions;
  readonly #watchers = new Set<() => void>();
  #timer: Timer | undefined;
  #told = true;

  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  get ready(): boolean {
    return this.problems().length === 0;
  }

  /** What is wrong, for people to read; nothing when it is ready. */
  problems(): readonly string[] {
    return this.#options.problems();
  }

  /**
   * Calls back whenever it has changed, and not at once.
   *
   * @param changed - must not throw
   * @returns what ends it
   */
  watch(changed: () => void): () => void {
    const watcher = () => {
      changed();
    };
    if (this.#watchers.size === 0) {
      this.#told = this.ready;
      this.#lookLater();
    }
    this.#watchers.add(watcher);
    return () => {
      this.#watchers.delete(watcher);
      if (this.#watchers.size === 0) {
        this.#timer?.cancel();
      }
    };
  }

  /** Tells the watchers at once if it has changed. */
  look(): void {
    const { ready } = this;
    if (ready !== this.#told) {
      this.#told = ready;
      for (const watcher of this.#watchers) {
        watcher();
      }
    }
  }

  #lookLater(): void {
    this.#timer = this.#options.clock.after(lookMs, () => {
      this.#lookLater();
      this.look();
    });
  }
}
