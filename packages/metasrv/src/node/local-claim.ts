import { notHeld } from "../model/lock-errors.js";
import type { Claim, ClaimListener, Renewal } from "./claim.js";
import type { LocalTicket } from "./local-ticket.js";

/** What a claim needs of its node, once it was granted. */
export interface ClaimHost {
  release(local: LocalTicket): Promise<void>;
  /** @returns the TTL in milliseconds */
  renew(local: LocalTicket, renewal: Renewal): Promise<number>;
}

/** One caller's request for a lock, for as long as the caller is interested in it. */
export class LocalClaim implements Claim {
  readonly #host: ClaimHost;
  /** Identifies this caller to the ticket, for which several callers may have asked. */
  readonly listener: ClaimListener;
  /**
   * The ticket that serves the claim. When a hold is lost before it could be confirmed, another ticket takes its place.
   */
  local: LocalTicket | undefined;
  /** Whether the caller still wants the lock. If it does not, it is not told of a later confirmation. */
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

  async renew(renewal: Renewal): Promise<number> {
    return this.#host.renew(this.#held(), renewal);
  }

  #held(): LocalTicket {
    const { local } = this;
    if (local?.state !== "held" && local?.state !== "releasing") {
      throw notHeld();
    }
    return local;
  }
}
