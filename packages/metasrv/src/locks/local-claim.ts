import type { Claim, ClaimListener } from "./claim.js";
import type { LocalTicket } from "./local-ticket.js";
import { notHeld } from "./lock-errors.js";

/** What a claim needs of its store. */
export interface ClaimHost {
  /** Removes a ticket that holds from the log. */
  unlock(ticket: LocalTicket, token: bigint): Promise<void>;
  /** The TTL itself, if it is within the limits. */
  checkTtl(ttlMs: number): number;
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
    const { local } = this;
    if (local?.createRevision === undefined || !local.held) {
      throw notHeld();
    }
    await this.#host.unlock(local, local.createRevision);
  }

  async renew(ttlMs: number): Promise<number> {
    const { local } = this;
    if (local?.held !== true) {
      throw notHeld();
    }
    await local.renew(ttlMs === 0 ? local.ticket.ttlMs : this.#host.checkTtl(ttlMs));
    return local.ticket.ttlMs;
  }
}
