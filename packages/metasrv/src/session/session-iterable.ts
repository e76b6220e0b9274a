import { Code, ConnectError } from "@connectrpc/connect";
import type { SessionRequest, SessionResponse } from "@metasrv/proto/metasrv/v1";
import type { FarEnd } from "../api/caller.js";
import { LockError } from "../model/lock-errors.js";
import type { ServiceDependencies } from "./service-dependencies.js";
import { Session } from "./session.js";

/**
 * Serves a session whose messages come and go through Connect.
 *
 * @throws what the session ends with, see {@link Session.over}, or the signal's reason
 */
export async function* serveSession(
  dependencies: ServiceDependencies,
  requests: AsyncIterable<SessionRequest>,
  { farEnd, signal }: { readonly farEnd: FarEnd; readonly signal: AbortSignal },
): AsyncGenerator<SessionResponse> {
  let wake: (() => void) | undefined;
  const gate = new Gate();
  const session = new Session(dependencies, {
    wake: () => wake?.(),
    read: (on) => {
      gate.set(on);
    },
    reset: () => {
      farEnd.reset();
    },
  });
  const onAbort = () => {
    const reason: unknown = signal.reason;
    const stopped = reason instanceof LockError || ConnectError.from(reason).code === Code.DeadlineExceeded;
    session.break(brokenBy(stopped ? reason : undefined));
  };
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) {
    onAbort();
  }
  void receive(session, requests, gate);
  try {
    for (;;) {
      const message = session.next();
      if (message !== undefined) {
        yield message;
      } else if (session.over === undefined) {
        await new Promise<void>((resolve) => (wake = resolve));
      } else if (session.over.error === undefined) {
        return;
      } else {
        throw session.over.error;
      }
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    session.break(undefined);
    gate.set(true);
  }
}

async function receive(session: Session, requests: AsyncIterable<SessionRequest>, gate: Gate): Promise<void> {
  const iterator = requests[Symbol.asyncIterator]();
  try {
    while (session.over === undefined) {
      const next = await iterator.next();
      if (next.done === true) {
        session.end();
        return;
      }
      session.receive(next.value);
      await gate.opened;
    }
    await iterator.return?.();
  } catch (error) {
    session.break(brokenBy(error));
  }
}

/** The error of a connection that broke says nothing that matters here. */
function brokenBy(reason: unknown): LockError | ConnectError {
  return reason instanceof LockError || reason instanceof ConnectError
    ? reason
    : new LockError("canceled", "the client is gone", { cause: reason });
}

/** Pauses and resumes the reading of requests. */
class Gate {
  #open: (() => void) | undefined;
  /** Settled while reading may go on. */
  opened: Promise<void> = Promise.resolve();

  set(on: boolean): void {
    if (on) {
      this.#open?.();
      this.#open = undefined;
    } else if (this.#open === undefined) {
      this.opened = new Promise((resolve) => (this.#open = resolve));
    }
  }
}
