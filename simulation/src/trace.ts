/** How many of the last lines are kept. */
const keptLines = 10_000;

/** What happened, in words. The last lines can be read; a hash stands for all of them. */
export class Trace {
  readonly #lines: string[] = [];
  readonly #now: () => number;
  #count = 0;
  #low = 0x811c9dc5;
  #high = 0xcbf29ce4;

  constructor(now: () => number) {
    this.#now = now;
  }

  add(text: string): void {
    const line = `${this.#now().toFixed(3).padStart(11)} ${text}`;
    this.#lines[this.#count++ % keptLines] = line;
    for (let index = 0; index < line.length; index++) {
      const code = line.charCodeAt(index);
      this.#low = Math.imul(this.#low ^ code, 0x01000193);
      this.#high = Math.imul(this.#high + code, 0x85ebca6b) ^ this.#low;
    }
  }

  /** The same for two runs in which the same happened. */
  get hash(): string {
    return [this.#high, this.#low].map((part) => (part >>> 0).toString(16).padStart(8, "0")).join("");
  }

  /** The last lines, the latest at the end. */
  tail(lines: number): string[] {
    const start = Math.max(0, this.#count - Math.min(lines, keptLines));
    return Array.from({ length: this.#count - start }, (_, index) => this.#lines[(start + index) % keptLines] ?? "");
  }
}
