import { notHeld } from "../model/lock-errors.js";
import type { Claim, ClaimListener } from "./claim.js";
import type { LocalTicket } from "./local-ticket.js";

/** What a claim needs of its node, once it was granted. */
export interface ClaimHost {
  release(local: LocalTicket): Promise<void>;
  /** @returns the TTL in milliseconds */
  renew(local: LocalTicket, ttlMs: number): Promise<number>;
}

/** What one caller asked for, while it is of interest to it. */
export class LocalClaim implements Claim {
  readonly #host: ClaimHost;
  /** By which the ticket tells this caller from another who asked for the same ticket. */
  readonly listener: ClaimListener;
  /** The ticket that serves it; another one, if the first was lost before its hold could be confirmed. */
  local: LocalTicket | undefined;
  /** Whether the caller still wants it: a confirmation that comes later is not told. */
  active = true;

  constructor(host: ClaimHost, listener: ClaimListener, local?: LocalTicket) {
    this.#host = host;
    this.listener = listener;
    this.local = local;
  }

  cancel(): void {
    this.active = false;
    this.local?.cancel(this.listener);
  }

  detach(): void {
    this.active = false;
    this.local?.detach(this.listener);
  }

  async release(): Promise<void> {
    await this.#host.release(this.#held());
  }

  async renew(ttlMs: number): Promise<number> {
    return this.#host.renew(this.#held(), ttlMs);
  }

  #held(): LocalTicket {
    const { local } = this;
    if (local?.state !== "held" && local?.state !== "releasing") {
      throw notHeld();
    }
    return local;
  }
}
