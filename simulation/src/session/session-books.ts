import type { SessionCommand, SessionEvent } from "@metasrv/proto/metasrv/v1";
import type { Invariants } from "../invariants.js";

type CommandKind = NonNullable<SessionCommand["command"]["case"]>;

/** The commands that each event of a session may answer. */
const answers: Readonly<Record<NonNullable<SessionEvent["event"]["case"]>, readonly CommandKind[]>> = {
  granted: ["lock"],
  refused: ["lock"],
  unlocked: ["unlock"],
  renewed: ["renew"],
  failed: ["lock", "unlock", "renew", "cancel"],
  lost: [],
};

/**
 * Compares what a node says on one session with what was asked there: each command has at most one answer, and only
 * what is held can be lost.
 */
export class SessionBooks {
  readonly #node: string;
  readonly #client: string;
  readonly #invariants: Invariants;
  readonly #unanswered = new Map<number, SessionCommand["command"]>();
  readonly #held = new Set<number>();

  constructor(node: string, client: string, invariants: Invariants) {
    this.#node = node;
    this.#client = client;
    this.#invariants = invariants;
  }

  asked(commands: readonly SessionCommand[]): void {
    for (const { number, command } of commands) {
      this.#unanswered.set(number, command);
    }
  }

  told(events: readonly SessionEvent[]): void {
    for (const { number, event } of events) {
      if (event.case === "lost") {
        if (!this.#held.delete(number)) {
          this.#fail(`told ${this.#client} of the loss of ${number}, which is not held there`);
        }
      } else if (event.case !== undefined) {
        this.#answered(number, event);
      }
    }
  }

  #answered(number: number, event: Exclude<SessionEvent["event"], { case: undefined | "lost" }>): void {
    const command = this.#unanswered.get(number);
    this.#unanswered.delete(number);
    if (command?.case === undefined || !answers[event.case].includes(command.case)) {
      this.#fail(`told ${this.#client} that ${number} is ${event.case}, which nobody asked for, or a second time`);
      return;
    }
    if (event.case === "granted") {
      const { key, token, ttlMs, waitedMs, floor, limit, parts } = event.value;
      this.#invariants.told(this.#node, { key, token, ttlMs: Number(ttlMs), waitedMs, floor, limit, parts });
      this.#held.add(number);
    } else if (event.case === "renewed" && command.case === "renew" && command.value.lock === 0) {
      this.#held.add(number);
    } else if (event.case === "unlocked" && command.case === "unlock") {
      this.#held.delete(command.value.lock);
    }
  }

  #fail(what: string): void {
    this.#invariants.fail("I2", `${this.#node} ${what}`);
  }
}
