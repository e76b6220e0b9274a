import { randomBytes } from "node:crypto";
import type { LockName, Ticket, TicketId } from "../log/ticket-log.js";
import type { Admission } from "./admission.js";
import type { Claim, ClaimListener, ClaimRequest } from "./claim.js";
import { checkClaim } from "./claim-check.js";
import type { Limits } from "./limits.js";
import { type ClaimHost, LocalClaim } from "./local-claim.js";
import type { LocalTicket } from "./local-ticket.js";
import type { LocalTickets } from "./local-tickets.js";
import { asLockError, superseded } from "./lock-errors.js";
import { escapeLockName } from "./lock-name.js";
import type { LockTable } from "./lock-table.js";
import type { Standing } from "./standing.js";
import { ticketIdFrom, ticketIdLength } from "./ticket-id.js";

/** What claiming works on. */
export interface ClaimingOptions {
  readonly limits: Limits;
  /** Source of ticket ids; the operating system's by default. */
  readonly random: ((bytes: number) => Uint8Array) | undefined;
  readonly table: LockTable;
  readonly standing: Standing;
  readonly admission: Admission;
  readonly locals: LocalTickets;
  readonly claimHost: ClaimHost;
}

/** How a request becomes a ticket, or joins the one that the same request made before. */
export class Claiming {
  readonly #options: ClaimingOptions;
  readonly #random: (bytes: number) => Uint8Array;
  /** What was asked for last: one client's tickets are mostly alike, so that they can share their content. */
  #lastTicket: Ticket | undefined;

  constructor(options: ClaimingOptions) {
    this.#options = options;
    this.#random = options.random ?? randomBytes;
  }

  /**
   * Asks for a lock, and tells the listener what becomes of it.
   *
   * @throws LockError `superseded` when the ticket was asked for again already; or for what is wrong with the request itself, a bound that is reached, or a node that cannot serve
   */
  claim(request: ClaimRequest, listener: ClaimListener): Claim {
    const { ttlMs, owner } = checkClaim(request, this.#options.limits);
    const name = escapeLockName(request.name);
    const resumable = request.ticketId !== undefined;
    const id = ticketIdFrom(request.ticketId ?? this.#random(ticketIdLength));
    const ticket = this.#ticketOf({ mode: "exclusive", ttlMs, owner, resumable, attempt: request.attempt ?? 0 });
    const claim = new LocalClaim(this.#options.claimHost, listener);
    this.#serve(claim, name, id, ticket, request.waitMs);
    return claim;
  }

  #ticketOf(wanted: Omit<Ticket, "memberId">): Ticket {
    const memberId = this.#options.standing.requireMember();
    const last = this.#lastTicket;
    if (
      last?.ttlMs === wanted.ttlMs &&
      last.owner === wanted.owner &&
      last.resumable === wanted.resumable &&
      last.attempt === wanted.attempt &&
      last.memberId === memberId
    ) {
      return last;
    }
    this.#lastTicket = { ...wanted, memberId };
    return this.#lastTicket;
  }

  #serve(claim: LocalClaim, name: LockName, id: TicketId, ticket: Ticket, waitMs: number | undefined): void {
    const { standing, locals } = this.#options;
    const existing = locals.get({ name, id });
    if (existing === undefined || existing.closed) {
      this.#serveAnew(claim, name, id, ticket, waitMs);
      return;
    }
    if (ticket.attempt < existing.ticket.attempt) {
      throw superseded();
    }
    claim.local = existing;
    if (existing.held) {
      void this.#reconfirm(claim, existing, ticket.attempt, () => {
        this.#serve(claim, name, id, { ...ticket, memberId: standing.requireMember() }, waitMs);
      });
    } else {
      existing.attach(claim.listener, waitMs);
      existing.askAgain(ticket.attempt);
    }
  }

  #serveAnew(claim: LocalClaim, name: LockName, id: TicketId, ticket: Ticket, waitMs: number | undefined): void {
    const { table, admission, locals } = this.#options;
    const joins = table.get(name, id) === undefined && waitMs !== 0;
    admission.requireRoom(name, locals.size, joins);
    const local = locals.add(name, id, ticket);
    if (joins) {
      admission.count(local);
    }
    claim.local = local;
    local.attach(claim.listener, waitMs);
    local.asked = local.ask().finally(() => {
      admission.seen(local);
    });
  }

  /** Renews the hold that the caller may not have heard of and tells it again; if it is lost, asks anew. */
  async #reconfirm(claim: LocalClaim, local: LocalTicket, attempt: number, restart: () => void): Promise<void> {
    try {
      await local.reconfirm(claim.listener, attempt, () => claim.active);
      if (!claim.active) {
        local.cancel(claim.listener);
      }
    } catch (error) {
      if (!claim.active) {
        return;
      }
      try {
        const failure = asLockError(error);
        if (failure.reason !== "not-held") {
          throw failure;
        }
        restart();
      } catch (failure) {
        claim.listener.failed(asLockError(failure));
      }
    }
  }
}
