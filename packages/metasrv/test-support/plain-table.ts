import type { Fold } from "../src/fold/fold.js";
import type { Command, CreateCommand, Outcome, RemoveCommand, TicketContent, TicketRef } from "../src/model/command.js";

/** A ticket, and whether it holds. */
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
 * of which holds if no other of its lock is before it. Knows nothing of entries that are written twice.
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
        return this.#if(ticket.holds, () => {
          this.#replace(ticket, { ...ticket, memberId: writer, content: { ...ticket.content, ttlMs } });
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
    const isFree = this.#tickets.every((other) => other.name !== name);
    if (impatient && !isFree) {
      return { kind: "refused" };
    }
    this.#tickets = [...this.#tickets, { name, id, content, attempt, memberId: writer, token }];
    return { kind: isFree ? "holds" : "waits", token, moved: false };
  }

  #createAgain(ticket: PlainTicket, { attempt, content, try: impatient }: CreateCommand, writer: string): Outcome {
    if (attempt < ticket.attempt) {
      return { kind: "superseded" };
    }
    if (impatient && !ticket.holds) {
      this.#replace(ticket);
      return { kind: "refused" };
    }
    this.#replace(ticket, { ...ticket, memberId: writer, attempt, content });
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
    return this.#tickets.find(({ name }) => name === ticket.name) === ticket;
  }
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
