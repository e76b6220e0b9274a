import { closeSync, openSync, writeSync } from "node:fs";
import type { HistoryEvent } from "./event.js";

/** Where a process writes down what it does. Each event is with the kernel when `write` returns, and survives a kill. */
export class Journal {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, "a");
  }

  write(event: HistoryEvent): void {
    writeSync(this.#file, `${JSON.stringify(event)}\n`);
  }

  close(): void {
    closeSync(this.#file);
  }
}
