import type { Clock, Timer } from "@metasrv/wire";
import type { Limits } from "../model/limits.js";
import { LockError } from "../model/lock-errors.js";

/** What a pulse needs of its session. */
export interface SessionPulseHost {
  readonly clock: Clock;
  readonly limits: Limits;
  /** Events that the client has not read. */
  unread(): number;
  /** Whether the client is listened to. */
  listening(): boolean;
  /** Once in every heartbeat: this side is to give a sign of life. */
  beat(): void;
  /** The client is to be given up: it gives no sign of life, or does not read. */
  giveUp(error: LockError): void;
}

/**
 * The heartbeats of a session. What the client owes is counted in heartbeats and not in time, so that after a pause of
 * this process the clients can speak first.
 */
export class SessionPulse {
  readonly #host: SessionPulseHost;
  #timer: Timer | undefined;
  #unheard = 0;
  #unread = 0;

  constructor(host: SessionPulseHost) {
    this.#host = host;
    this.#start();
  }

  /** The client gave a sign of life. */
  heard(): void {
    this.#unheard = 0;
  }

  /** The client reads. */
  read(): void {
    this.#unread = 0;
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #start(): void {
    const { clock, limits } = this.#host;
    this.#timer = clock.after(limits.heartbeatMs, () => {
      const error = this.#failure();
      if (error === undefined) {
        this.#start();
        this.#host.beat();
      } else {
        this.#host.giveUp(error);
      }
    });
  }

  #failure(): LockError | undefined {
    const { heartbeatMs, sessionTimeoutMs } = this.#host.limits;
    const unread = this.#host.unread();
    if (unread > 0 && ++this.#unread * heartbeatMs > sessionTimeoutMs) {
      return new LockError(
        "not-reading",
        `the client has read nothing for ${sessionTimeoutMs} ms and left ${unread} events unread`,
      );
    }
    if (this.#host.listening() && ++this.#unheard * heartbeatMs > sessionTimeoutMs) {
      return new LockError("canceled", `the client gave no sign of life for ${sessionTimeoutMs} ms`);
    }
    return undefined;
  }
}
