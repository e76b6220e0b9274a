import { Code, ConnectError } from "@connectrpc/connect";
import type { SessionRequest, SessionResponse } from "@metasrv/proto/metasrv/v1";
import type { FarEnd, Origin } from "../api/caller.js";
import { endOf } from "../api/connection-end.js";
import { LockError } from "../model/lock-errors.js";
import { ReadingGate } from "./reading-gate.js";
import type { ServiceDependencies } from "./service-dependencies.js";
import { Session } from "./session.js";

/**
 * Serves a session whose messages come and go through Connect.
 *
 * @throws what the session ends with, see {@link Session.over}, or the signal's reason
 */
export function serveSession(
  dependencies: ServiceDependencies,
  requests: AsyncIterable<SessionRequest>,
  carrier: ResponseStream,
): AsyncGenerator<SessionResponse> {
  return sessionResponses(dependencies, carrier, (session, gate) => {
    void receive(session, requests, gate);
  });
}

/** The stream that carries a session's responses. */
export interface ResponseStream {
  readonly origin: Origin;
  readonly farEnd: FarEnd;
  readonly signal: AbortSignal;
}

/**
 * Opens a session, and gives what it has to say as long as it lasts.
 *
 * @param opened - called at once with the session, and with what says when to bring it requests
 * @throws as {@link serveSession}
 */
export async function* sessionResponses(
  dependencies: ServiceDependencies,
  { origin, farEnd, signal }: ResponseStream,
  opened: (session: Session, gate: ReadingGate) => void,
): AsyncGenerator<SessionResponse> {
  let wake: (() => void) | undefined;
  const gate = new ReadingGate();
  const session = new Session(dependencies, dependencies.access.of(origin), {
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
  const stopHearing =
    farEnd.connection &&
    endOf(farEnd.connection).onLeave(() => {
      session.drain();
    });
  opened(session, gate);
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
    stopHearing?.();
    session.break(undefined);
    gate.set(true);
  }
}

async function receive(session: Session, requests: AsyncIterable<SessionRequest>, gate: ReadingGate): Promise<void> {
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
