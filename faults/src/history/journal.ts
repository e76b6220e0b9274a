import { closeSync, openSync, writeSync } from "node:fs";
import type { HistoryEvent } from "./event.js";

/**
 * The file into which a process writes what it does. When `write` returns, the kernel has the event, so it survives a
 * kill.
 */
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
