import type { Clock, Timer } from "@metasrv/wire";

export interface ReadinessOptions {
  readonly clock: Clock;
  /** What keeps this server from serving well, in words for people; empty while it serves well. */
  readonly problems: () => readonly string[];
  /** What somebody should see to, although this server serves well, in words for people; nothing by default. */
  readonly warnings?: () => readonly string[];
}

/**
 * How often readiness is checked while somebody watches it, in milliseconds. Problems can come with time, without an
 * event.
 */
const lookMs = 500;

/** Whether requests should be sent to this server. It also serves requests that come while it is not ready. */
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

  /** What somebody should see to, for people to read. It does not make this server less ready. */
  warnings(): readonly string[] {
    return this.#options.warnings?.() ?? [];
  }

  /**
   * Calls back whenever readiness has changed, but not at once.
   *
   * @param changed - must not throw
   * @returns a function that ends the calls
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

  /** Checks readiness now, and tells the watchers if it has changed. */
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
