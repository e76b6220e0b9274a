/** What a test receives, in the order of its arrival. */
export class Inbox<T> {
  readonly all: T[] = [];
  readonly #waiting: ((call: T) => void)[] = [];
  #taken = 0;
  #always: ((call: T) => void) | undefined;

  push(call: T): T {
    this.all.push(call);
    this.#always?.(call);
    this.#serve();
    return call;
  }

  /** The next that was not taken yet, as soon as there is one. */
  next(): Promise<T> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#serve();
    });
  }

  /** Every one so far, and from now on, is handled like this. */
  always(handle: (call: T) => void): void {
    this.#always = handle;
    this.all.forEach(handle);
  }

  #serve(): void {
    for (let call = this.all[this.#taken]; call !== undefined && this.#waiting.length > 0;) {
      this.#waiting.shift()?.(call);
      call = this.all[++this.#taken];
    }
  }
}
