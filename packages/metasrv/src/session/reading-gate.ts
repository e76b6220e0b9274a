/** Pauses and resumes the reading of requests. */
export class ReadingGate {
  #open: (() => void) | undefined;
  /** Settled while reading may go on. */
  opened: Promise<void> = Promise.resolve();

  /** Whether requests may be read now. */
  get isOpen(): boolean {
    return this.#open === undefined;
  }

  set(on: boolean): void {
    if (on) {
      this.#open?.();
      this.#open = undefined;
    } else if (this.#open === undefined) {
      this.opened = new Promise((resolve) => (this.#open = resolve));
    }
  }
}
