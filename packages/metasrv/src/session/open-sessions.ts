import type { Clock } from "@metasrv/wire";

/** A session, as far as its client can be sent elsewhere. */
export interface DrainableSession {
  /** Tells the client to move to another server. */
  drain(): void;
  /** Ends it: what is unanswered is to be asked for elsewhere. */
  break(reason: Error): void;
}

/** The sessions that are open, and how their clients are asked to move to other servers before this one stops. */
export class OpenSessions {
  readonly #sessions = new Set<DrainableSession>();
  #draining = false;
  #ended: (() => void) | undefined;

  /** Number of open sessions. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Whether clients are being sent away. Never taken back. */
  get draining(): boolean {
    return this.#draining;
  }

  /** What is wrong with this server for new clients, for people to read. */
  problems(): readonly string[] {
    return this.#draining ? ["it is about to stop, and sends its clients to other servers"] : [];
  }

  opened(session: DrainableSession): void {
    this.#sessions.add(session);
  }

  /** Harmless when repeated. */
  closed(session: DrainableSession): void {
    this.#sessions.delete(session);
    if (this.#sessions.size === 0) {
      this.#ended?.();
    }
  }

  /** Sends every client to another server without a moment for answers, as there are none. New ones are welcome. */
  sendAway(reason: Error): void {
    for (const session of [...this.#sessions]) {
      session.drain();
      session.break(reason);
    }
  }

  /**
   * Tells every client to move to another server; resolves once all sessions have ended, or the time has passed.
   *
   * @param boundMs - in milliseconds
   */
  async drain(clock: Clock, boundMs: number): Promise<void> {
    this.#draining = true;
    for (const session of this.#sessions) {
      session.drain();
    }
    if (this.#sessions.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = clock.after(boundMs, resolve);
        this.#ended = () => {
          timer.cancel();
          resolve();
        };
      });
    }
  }
}
