import type { Clock, Timer } from "@metasrv/wire";
import type { Limits } from "../model/limits.js";
import { LockError } from "../model/lock-errors.js";

/** What a pulse needs of its session. */
export interface SessionPulseHost {
  readonly clock: Clock;
  readonly limits: Limits;
  /** Events that the client has not read. */
  unread(): number;
  /** Whether the server reads what the client sends. */
  listening(): boolean;
  /** Called once in every heartbeat: this side must give a sign of life. */
  beat(): void;
  /** Called when the client gives no sign of life, or does not read. */
  giveUp(error: LockError): void;
}

/**
 * The heartbeats of a session. A client's silence is counted in heartbeats, not in time. So after a pause of this
 * process, what the clients have sent is read before any of them is given up.
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

  /** The client has read something. */
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
