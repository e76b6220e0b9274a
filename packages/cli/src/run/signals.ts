import { SignalError } from "../exit-codes.js";

const handled = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGTSTP", "SIGCONT"] as const;

/** A signal that this process does not leave to the system. */
export type HandledSignal = (typeof handled)[number];

const ending: readonly HandledSignal[] = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"];

/** Whether the signal asks a process to end. */
export function isEnding(signal: HandledSignal): boolean {
  return ending.includes(signal);
}

/**
 * Gives the signals of this process to one listener at a time. Where there is none, they have no effect, until the process
 * ends: the exit code is known before the client is closed, and a signal must not replace it.
 */
export class Signals {
  #listener: (signal: HandledSignal) => void = () => undefined;

  constructor() {
    for (const signal of handled) {
      process.on(signal, () => {
        this.#listener(signal);
      });
    }
  }

  /** From now on, this one is told instead. */
  giveTo(listener: (signal: HandledSignal) => void): void {
    this.#listener = listener;
  }
}

/** A signal that aborts with a {@link SignalError} when this process is asked to end. SIGTSTP stops it meanwhile. */
export function abortedByEnd(signals: Signals): AbortSignal {
  const asked = new AbortController();
  signals.giveTo((signal) => {
    if (isEnding(signal)) {
      asked.abort(new SignalError(signal));
    } else if (signal === "SIGTSTP") {
      stopThisProcess();
    }
  });
  return asked.signal;
}

/** Stops this process, as SIGTSTP would if nothing listened to it. Returns when it goes on. */
export function stopThisProcess(): void {
  process.kill(process.pid, "SIGSTOP");
}
