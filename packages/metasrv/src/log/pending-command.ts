import type { Command, Outcome } from "../model/command.js";
import type { LockError } from "../model/lock-errors.js";
import type { CommandWaiter } from "./command-log.js";

/** A command that was asked for, until its outcome is known. */
export class PendingCommand {
  readonly command: Command;
  readonly waiter: CommandWaiter;
  /** Until when its outcome should be known, on the log's clock. */
  readonly deadlineMs: number;
  /** Whether the waiter was told that it takes too long. */
  overdue = false;
  #settled = false;

  constructor(command: Command, waiter: CommandWaiter, deadlineMs: number) {
    this.command = command;
    this.waiter = waiter;
    this.deadlineMs = deadlineMs;
  }

  settle(outcome: Outcome): void {
    if (!this.#settled) {
      this.#settled = true;
      this.waiter.settled(outcome);
    }
  }

  fail(error: LockError): void {
    if (!this.#settled) {
      this.#settled = true;
      this.waiter.failed(error);
    }
  }

  /** The waiter is told, once, that the outcome is not known in time. */
  late(error: LockError): void {
    if (!this.#settled && !this.overdue) {
      this.overdue = true;
      this.waiter.overdue(error);
    }
  }
}
