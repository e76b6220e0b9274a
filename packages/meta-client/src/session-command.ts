import type { SessionCommand } from "@metasrv/proto/metasrv/v1";
import type { Cancellation, CancelListener } from "./cancellation.js";
import type { Holding, LockOutcome, Renewed } from "./grant.js";

/** The answer to a command; undefined for an unlock. */
export type SessionAnswer = LockOutcome | Renewed | undefined;

/** A command that is to be sent. */
export class OutgoingCommand implements SessionCommand {
  readonly $typeName = "metasrv.v1.SessionCommand";
  readonly number: number;
  readonly command: SessionCommand["command"];
  /** When it left, on the client's clock; undefined until then. */
  sentAtMs: number | undefined;
  /** Whether nobody waits for its answer any more. */
  withdrawn = false;

  constructor(number: number, command: SessionCommand["command"]) {
    this.number = number;
    this.command = command;
  }
}

/** Where the answer to a command goes. */
export class AnswerTo {
  /** The lock that the command names, if it names one. */
  readonly holding: Holding | undefined;
  /** The scope of the caller that waits for the answer. */
  readonly scope: Cancellation;
  readonly resolve: (answer: SessionAnswer) => void;
  readonly reject: (error: unknown) => void;

  constructor(
    holding: Holding | undefined,
    scope: Cancellation,
    resolve: (answer: SessionAnswer) => void,
    reject: (error: unknown) => void,
  ) {
    this.holding = holding;
    this.scope = scope;
    this.resolve = resolve;
    this.reject = reject;
  }
}

/** A command that will be answered. */
export class PendingCommand extends OutgoingCommand implements CancelListener {
  readonly to: AnswerTo;
  /** Whether another server is asked as well, so that the answer of this one does not count. */
  moved = false;
  readonly #withdraw: (pending: PendingCommand) => void;

  /** @param withdraw - called when the scope is cancelled */
  constructor(
    number: number,
    command: SessionCommand["command"],
    to: AnswerTo,
    withdraw: (pending: PendingCommand) => void,
  ) {
    super(number, command);
    this.to = to;
    this.#withdraw = withdraw;
  }

  /** Whether it asks for a lock and waits as long as that takes. */
  get waits(): boolean {
    return this.command.case === "lock" && this.command.value.waitMs !== 0n;
  }

  /** The number of the lock that it names; 0 when it names no lock, or names it by its key. */
  get lock(): number {
    return this.command.case === "unlock" || this.command.case === "renew" ? this.command.value.lock : 0;
  }

  onCancel(): void {
    this.withdrawn = true;
    this.#withdraw(this);
  }
}

/** Releases a lock: the one of that number, or, if the number is 0, the one of the key. */
export function unlockCommand(lock: number, key: Uint8Array): SessionCommand["command"] {
  return { case: "unlock", value: { $typeName: "metasrv.v1.SessionUnlock", lock, key } };
}

/**
 * Gives a lock its TTL again. It names the lock as {@link unlockCommand} does.
 *
 * @param renewal - what it changes besides
 */
export function renewCommand(
  lock: number,
  key: Uint8Array,
  ttlMs: bigint,
  { renewedMode: mode, value }: Pick<Holding, "renewedMode" | "value">,
): SessionCommand["command"] {
  const renew = { $typeName: "metasrv.v1.SessionRenew" as const, lock, key, ttlMs, mode };
  return { case: "renew", value: value === undefined ? renew : { ...renew, value } };
}
