import { constants } from "node:os";
import {
  ClosedError,
  type EndpointTrouble,
  InvalidArgumentError,
  LimitExceededError,
  LockLostError,
  PermissionDeniedError,
  UnauthenticatedError,
  UnavailableError,
  WaitTimeoutError,
} from "@metasrv/meta-client";

/** What metactl ends with when it does not end as its child did. docs/cli.md has the same table. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 64,
  unavailable: 69,
  fault: 70,
  notWritten: 74,
  notAcquired: 75,
  denied: 77,
  config: 78,
  lost: 79,
  notExecutable: 126,
  notFound: 127,
} as const;

/** Something ends metactl with an exit code of its own; the message is for the person who called it. */
export class ExitError extends Error {
  override readonly name = "ExitError";
  readonly exitCode: number;

  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** A signal ended metactl while it waited. */
export class SignalError extends Error {
  override readonly name = "SignalError";
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`ended by ${signal}`);
    this.signal = signal;
  }
}

/** The exit code of what a signal ended, as shells count it. */
export function exitCodeOfSignal(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}

/** The exit code that tells of an error. */
export function exitCodeOf(error: unknown): number {
  const troubles = troublesOf(error);
  if (error instanceof ExitError) {
    return error.exitCode;
  }
  if (error instanceof SignalError) {
    return exitCodeOfSignal(error.signal);
  }
  if (error instanceof InvalidArgumentError) {
    return exitCodes.usage;
  }
  if (error instanceof UnauthenticatedError || error instanceof PermissionDeniedError) {
    return exitCodes.denied;
  }
  // To try again later helps only if one of them failed for something else.
  if (troubles?.length && troubles.every(({ certificateRefused }) => certificateRefused)) {
    return exitCodes.denied;
  }
  if (troubles !== undefined || error instanceof ClosedError) {
    return exitCodes.unavailable;
  }
  // A grant that was over before it arrived is none.
  if (error instanceof WaitTimeoutError || error instanceof LimitExceededError || error instanceof LockLostError) {
    return exitCodes.notAcquired;
  }
  return exitCodes.fault;
}

/** Why no server has answered; undefined when one has. A wait can be over before that, and says nothing of the lock then. */
function troublesOf(error: unknown): readonly EndpointTrouble[] | undefined {
  if (error instanceof UnavailableError) {
    return error.endpoints;
  }
  return error instanceof WaitTimeoutError ? error.unanswered : undefined;
}
