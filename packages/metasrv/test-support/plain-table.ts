import type { Fold } from "../src/fold/fold.js";
import type { Command, CreateCommand, Outcome, RemoveCommand } from "../src/model/command.js";
import { extrasOf, type LockPart, noLimit, type TicketContent } from "../src/model/ticket-content.js";
import type { LockName, TicketRef } from "../src/model/ticket-ref.js";

/** A ticket, and whether it holds, which one of several locks does once it has them all. */
export interface PlainTicket extends TicketRef {
  readonly token: bigint;
  readonly memberId: string;
  readonly attempt: number;
  readonly content: TicketContent;
  readonly holds: boolean;
}

type Listed = Omit<PlainTicket, "holds">;

/**
 * The rules of the fold written a second time, as simply as they can be: one list of tickets in the order of the log, each
 * of which holds if it and all of its lock that are before it leave room for each other. Knows nothing of entries that are written twice.
 */
export class PlainTable {
  #tickets: readonly Listed[] = [];
  #offset = 0n;

  /** All tickets in the order of the log. */
  get tickets(): PlainTicket[] {
    return this.#tickets.map((ticket) => ({ ...ticket, holds: this.#holds(ticket) }));
  }

  find({ name, id }: TicketRef): PlainTicket | undefined {
    return this.tickets.find((ticket) => ticket.name === name && ticket.id === id);
  }

  /** The token of a ticket that is created there. */
  tokenAt(revision: bigint, index: number): bigint {
    return (revision + this.#offset) * 4096n + BigInt(index);
  }

  execute(command: Command, writer: string, revision: bigint, index: number): Outcome {
    if (command.kind === "raise-level") {
      return { kind: "done" };
    }
    if (command.kind === "raise-floor") {
      while (this.tokenAt(revision, 0) <= command.token) {
        this.#offset++;
      }
      return { kind: "done" };
    }
    if (command.kind === "force") {
      const forced = this.tickets.find(({ token, ...ticket }) => {
        return token === command.token && partsOf(ticket).some(({ name }) => name === command.name);
      });
      return this.#if(forced !== undefined, () => {
        this.#tickets = this.#tickets.filter(({ token }) => token !== command.token);
      });
    }
    const ticket = this.find(command);
    if (command.kind === "create") {
      return ticket === undefined
        ? this.#create(command, writer, this.tokenAt(revision, index))
        : this.#createAgain(ticket, command, writer);
    }
    if (ticket?.token !== command.token) {
      return { kind: "not-there" };
    }
    switch (command.kind) {
      case "renew": {
        const { ttlMs } = command.ttlMs === 0 ? ticket.content : command;
        const { permits, limit, extras } = ticket.content;
        const isShareable = (limit === 1 || (permits === 1 && limit === noLimit)) && partsOf(ticket).length === 1;
        if (ticket.holds && command.downgrade && !isShareable) {
          return { kind: "refused" };
        }
        const share = command.downgrade ? { permits: 1, limit: noLimit } : { permits, limit };
        const valued = command.value === undefined ? extras : extrasOf({ ...extras, value: command.value });
        return this.#if(ticket.holds, () => {
          const content = { ...ticket.content, ttlMs, ...share, extras: valued };
          this.#replace(ticket, { ...ticket, memberId: writer, content });
        });
      }
      case "adopt":
        return this.#if(ticket.memberId === command.memberId, () => {
          this.#replace(ticket, { ...ticket, memberId: writer });
        });
      case "remove":
        return this.#if(mayRemove(command, ticket, writer), () => {
          this.#replace(ticket);
        });
    }
  }

  #create({ name, id, content, attempt, try: impatient }: CreateCommand, writer: string, token: bigint): Outcome {
    const before = this.#tickets;
    const ticket = { name, id, content, attempt, memberId: writer, token };
    this.#tickets = [...before, ticket];
    const holds = this.#holds(ticket);
    if (impatient && !holds) {
      this.#tickets = before;
      return { kind: "refused" };
    }
    return { kind: holds ? "holds" : "waits", token, moved: false };
  }

  #createAgain(ticket: PlainTicket, { attempt, content, try: impatient }: CreateCommand, writer: string): Outcome {
    if (attempt < ticket.attempt) {
      return { kind: "superseded" };
    }
    if (impatient && !ticket.holds) {
      this.#replace(ticket);
      return { kind: "refused" };
    }
    const { permits, limit, extras } = ticket.content;
    this.#replace(ticket, { ...ticket, memberId: writer, attempt, content: { ...content, permits, limit, extras } });
    return { kind: ticket.holds ? "holds" : "waits", token: ticket.token, moved: ticket.memberId !== writer };
  }

  #if(condition: boolean, change: () => void): Outcome {
    if (!condition) {
      return { kind: "not-there" };
    }
    change();
    return { kind: "done" };
  }

  #replace({ token }: Listed, ...by: readonly PlainTicket[]): void {
    const changed = by.map(({ name, id, token: same, memberId, attempt, content }) => {
      return { name, id, token: same, memberId, attempt, content };
    });
    this.#tickets = this.#tickets.flatMap((ticket) => (ticket.token === token ? changed : [ticket]));
  }

  #holds(ticket: Listed): boolean {
    return partsOf(ticket).every(({ name }) => this.isAdmitted(ticket.token, name));
  }

  /** Whether it and all before it in the queue of a lock take no more than the least of their limits allows. */
  isAdmitted(token: bigint, name: LockName): boolean {
    const queue = this.queue(name);
    const upTo = queue.slice(0, queue.findIndex((part) => part.token === token) + 1);
    return upTo.every((_, last) => {
      const first = upTo.slice(0, last + 1);
      const sum = first.reduce((permits, part) => permits + part.permits, 0);
      return sum <= Math.min(...first.map(({ limit }) => limit));
    });
  }

  /** What waits for a lock or has it, in the order of the log. */
  queue(name: LockName): (LockPart & { readonly token: bigint })[] {
    return this.#tickets.flatMap((ticket) => {
      return partsOf(ticket)
        .filter((part) => part.name === name)
        .map((part) => ({ ...part, token: ticket.token }));
    });
  }
}

/** The locks that a ticket asks for. */
function partsOf({ name, content }: Pick<Listed, "name" | "content">): readonly LockPart[] {
  return [{ name, permits: content.permits, limit: content.limit }, ...(content.extras?.others ?? [])];
}

function mayRemove({ cause, memberId }: RemoveCommand, ticket: PlainTicket, writer: string): boolean {
  return {
    released: ticket.holds,
    expired: ticket.memberId === writer,
    cancelled: ticket.memberId === writer,
    abandoned: ticket.memberId === memberId,
  }[cause];
}

/** All tickets of a fold in the order of their tokens, to be compared with a {@link PlainTable}'s. */
export function ticketsOf(fold: Fold): PlainTicket[] {
  return [...fold.tickets()]
    .map(({ name, id, token, memberId, attempt, content, holds }) => {
      return { name, id, token, memberId, attempt, content: { ...content }, holds };
    })
    .sort((a, b) => (a.token < b.token ? -1 : 1));
}
