import type { Clock } from "@metasrv/wire";
import type { Identity } from "../api/access.js";

/** A session, as far as sending its client away needs it. */
export interface OpenSession {
  /** Whose it is; absent where nobody is asked. */
  readonly identity?: Identity | undefined;
  /** Tells the client to move to another server. */
  drain(): void;
  /** Ends the session. The client asks elsewhere for what is unanswered. */
  break(reason: Error): void;
}

/** The open sessions. Before this server stops, it asks their clients to move to other servers. */
export class OpenSessions {
  readonly #sessions = new Set<OpenSession>();
  #draining = false;
  #ended: (() => void) | undefined;

  /** Number of open sessions. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Whether clients are being sent away. Never becomes false again. */
  get draining(): boolean {
    return this.#draining;
  }

  /** What is wrong with this server for new clients, in words for people. */
  problems(): readonly string[] {
    return this.#draining ? ["it is about to stop, and sends its clients to other servers"] : [];
  }

  opened(session: OpenSession): void {
    this.#sessions.add(session);
  }

  /** Harmless when repeated. */
  closed(session: OpenSession): void {
    this.#sessions.delete(session);
    if (this.#sessions.size === 0) {
      this.#ended?.();
    }
  }

  /**
   * Sends every client to another server and ends its session at once, because this server has no answers to wait for.
   * New sessions are welcome.
   */
  sendAway(reason: Error): void {
    for (const session of [...this.#sessions]) {
      session.drain();
      session.break(reason);
    }
  }

  /** Ends the sessions whose principals are not proven any more. @param reason - what a session's client is told */
  endUnproven(reason: (principal: string) => Error): void {
    for (const session of [...this.#sessions]) {
      const { identity } = session;
      if (identity?.isValid === false) {
        session.break(reason(identity.principal));
      }
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
