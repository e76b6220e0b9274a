import type { Operated } from "../api/locks.js";
import type { LockError } from "../model/lock-errors.js";
import type { LockName } from "../model/ticket-ref.js";
import type { TicketInfo } from "../node/inspection.js";
import type { LockChanges, ManyLocks } from "../node/table-watch.js";
import { eitherAborts } from "./either-aborts.js";
import type { Guard } from "./guard.js";
import { deniedTogether } from "./refusals.js";

/** What one caller sees of the locks, and may do with those of others. */
export class GuardedOperated implements Operated {
  readonly inspection: Operated["inspection"];
  readonly watch: Operated["watch"];
  readonly #operated: Operated;
  readonly #guard: Guard;

  constructor(operated: Operated, guard: Guard) {
    this.#operated = operated;
    this.#guard = guard;
    this.inspection = {
      get: (...args) => this.#get(...args),
      list: (request) => this.#list(request),
      blocked: (request) => this.#blocked(request),
      forced: (minToken, before, pageSize) => this.#forced(minToken, before, pageSize),
    };
    this.watch = {
      one: (name, maxTickets, signal) => this.#one(name, maxTickets, signal),
      many: (request, signal) => this.#many(request, signal),
    };
  }

  /**
   * Needs the right to inspect, too, because it shows the ticket; and the right to force for all locks that the ticket takes at
   * once, of which a refusal names only those that may be seen. The principal is the first that the record says of who did it.
   */
  async force(...[name, token, by, dryRun]: Parameters<Operated["force"]>): Promise<TicketInfo> {
    const guard = this.#guard;
    const { name: principal, usage } = guard.principal;
    guard.require("force", name);
    guard.require("inspect", name);
    usage.request();
    const named = { ...by, actor: by.actor === "" ? principal : `${principal}: ${by.actor}` };
    let owner: string | undefined;
    const note = (outcome: string) => {
      guard.forced({ name, token, owner, ...by, outcome });
    };
    let refusal: LockError | undefined;
    try {
      const seen = await this.#operated.force(name, token, named, true);
      const { parts } = seen;
      owner = seen.owner;
      if (parts.some((part) => !guard.permits("force", part) && !this.#seen(part))) {
        refusal = deniedTogether(principal, "force", name);
      }
      guard.requireAll("force", parts);
      const ticket = await this.#operated.force(name, token, named, dryRun);
      note(dryRun ? "dry run" : "done");
      return this.#shown(ticket);
    } catch (error) {
      note(error instanceof Error ? error.message : String(error));
      throw refusal ?? error;
    }
  }

  async #get(...[name, minToken, maxTickets]: Parameters<Operated["inspection"]["get"]>) {
    this.#guard.require("inspect", name);
    this.#guard.principal.usage.request();
    const { lock, tickets } = await this.#operated.inspection.get(name, minToken, maxTickets);
    return { lock, tickets: tickets.map(this.#shown) };
  }

  #list(request: Parameters<Operated["inspection"]["list"]>[0]) {
    this.#guard.requireSome("inspect", request.prefix);
    this.#guard.principal.usage.request();
    return this.#operated.inspection.list({ ...request, permits: this.#seen });
  }

  async #blocked(request: Parameters<Operated["inspection"]["blocked"]>[0]) {
    this.#guard.requireSome("inspect", request.prefix);
    this.#guard.principal.usage.request();
    const { locks, deadlocks, next } = await this.#operated.inspection.blocked({ ...request, permits: this.#seen });
    return {
      locks: locks.map(({ lock, waiter, blockers }) => {
        return { lock, waiter: this.#shown(waiter), blockers: blockers.map(this.#shown) };
      }),
      // A part of a circle would say nothing.
      deadlocks: deadlocks
        .filter((requests) => requests.every(({ name }) => this.#seen(name)))
        .map((requests) => requests.map(({ name, ticket }) => ({ name, ticket: this.#shown(ticket) }))),
      next,
    };
  }

  async #forced(minToken: bigint, before: bigint | undefined, pageSize: number) {
    this.#guard.requireSome("inspect", "" as LockName);
    this.#guard.principal.usage.request();
    return this.#operated.inspection.forced(minToken, before, pageSize, this.#seen);
  }

  async *#one(...[name, maxTickets, signal]: Parameters<Operated["watch"]["one"]>) {
    this.#guard.principal.usage.request();
    while (!signal.aborted) {
      using until = eitherAborts(signal, this.#guard.principal.changed);
      this.#guard.require("inspect", name);
      for await (const { lock, tickets } of this.#operated.watch.one(name, maxTickets, until.signal)) {
        this.#guard.require("inspect", name);
        yield { lock, tickets: tickets.map(this.#shown) };
      }
    }
  }

  /** Begins anew when the rights have changed: there may be other locks to see. */
  async *#many(request: ManyLocks, signal: AbortSignal): AsyncGenerator<LockChanges> {
    this.#guard.principal.usage.request();
    for (let again = false; !signal.aborted;) {
      using until = eitherAborts(signal, this.#guard.principal.changed);
      this.#guard.requireSome("inspect", request.prefix);
      for await (const changes of this.#operated.watch.many({ ...request, permits: this.#seen }, until.signal)) {
        yield { ...changes, restarted: changes.restarted || again };
        again = false;
      }
      again = true;
    }
  }

  readonly #seen = (name: LockName): boolean => this.#guard.permits("inspect", name);

  /** A ticket without the names of other locks that must not be seen. */
  readonly #shown = (ticket: TicketInfo): TicketInfo => {
    const { parts, within } = ticket;
    return parts.length === 0 && within.length === 0
      ? ticket
      : { ...ticket, parts: parts.filter(this.#seen), within: within.filter(({ name }) => this.#seen(name)) };
  };
}
