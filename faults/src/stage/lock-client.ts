import { join } from "node:path";
import type { Child, Host } from "@metasrv/testing";
import { type Ask, asksOf } from "../history/ask.js";
import { type Force, forcesOf } from "../history/force.js";
import { readJournal } from "../history/read-journal.js";
import type { LockClientOptions } from "../load/client-options.js";
import { nowUs } from "../monotonic.js";
import { programs } from "../programs.js";
import { startProgram } from "./program.js";

/** Where a client process runs, and what it is told besides its name and journal. */
export interface LockClientPlace {
  readonly name: string;
  readonly host: Host | undefined;
  /** For journals. */
  readonly folder: string;
  readonly options: Omit<LockClientOptions, "name" | "journal" | "seed">;
}

interface Life {
  readonly name: string;
  readonly journal: string;
  diedUs?: number;
}

const endsWithinMs = 30_000;

/** A client process that can be started again after its end, under another name and with another journal. */
export class LockClient implements AsyncDisposable {
  readonly #place: LockClientPlace;
  readonly #lives: Life[] = [];
  #child: Child | undefined;

  constructor(place: LockClientPlace) {
    this.#place = place;
  }

  get name(): string {
    return this.#place.name;
  }

  async start(seed: number): Promise<void> {
    const { folder, host, options } = this.#place;
    const name = `${this.name}-${this.#lives.length + 1}`;
    const life: Life = { name, journal: join(folder, `${name}.jsonl`) };
    const complete: LockClientOptions = { ...options, name, journal: life.journal, seed };
    this.#child = await startProgram({ path: programs.lockClient, args: [JSON.stringify(complete)], host });
    this.#lives.push(life);
  }

  /** Kills the process. What it held and waited for is left to the service. */
  async kill(): Promise<void> {
    const life = this.#lives.at(-1);
    if (life !== undefined) {
      life.diedUs = nowUs();
    }
    await this.#child?.kill();
  }

  /** Pauses or resumes the process. */
  async signal(signal: "SIGSTOP" | "SIGCONT"): Promise<void> {
    await this.#child?.kill(signal);
  }

  /**
   * Ends its load and the process.
   *
   * @throws Error when it does not end, or ends with another code than 0
   */
  async stop(): Promise<void> {
    const exit = await this.#child?.stop(endsWithinMs);
    if (exit !== undefined && exit.code !== 0) {
      throw new Error(`${this.name} ended with code ${exit.code}, signal ${exit.signal}; ${this.#child?.tail ?? ""}`);
    }
  }

  /** What each of its processes has asked for, and what it has wanted to be released by force. */
  async lives(): Promise<{ readonly asks: readonly Ask[]; readonly forces: readonly Force[] }[]> {
    const lives = this.#lives.map(async ({ name, journal, diedUs }) => {
      const events = await readJournal(journal);
      return { asks: asksOf(name, events, diedUs), forces: forcesOf(events) };
    });
    return Promise.all(lives);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child?.kill();
  }
}
