import { fromBinary } from "@bufbuild/protobuf";
import {
  type Command,
  type CreateCommand,
  EntrySchema,
  type LockPart,
  RemoveCause,
  type TicketContent,
} from "@metasrv/proto/metasrv/store/v1";

/** What a ticket takes of its lock, and the most that all may take beside it. */
export interface ModelShare {
  readonly permits: number;
  readonly limit: number;
}

/** What a ticket takes of one of its locks. */
export interface ModelPart extends ModelShare {
  readonly name: string;
}

/** A ticket as the model has it. */
export interface ModelTicket {
  /** By this it is known: the first of its locks. */
  readonly name: string;
  readonly id: string;
  readonly token: bigint;
  /** All its locks: one, or several that it holds together or not at all. */
  parts: readonly ModelPart[];
  owner: string;
  memberId: string;
  attempt: number;
}

const noLimit = 2 ** 32 - 1;

/** Told what happens to the model's tickets. */
export interface ModelObserver {
  /** @param others - those that stand before it in one of its queues */
  created(ticket: ModelTicket, others: readonly ModelTicket[]): void;
  changed(ticket: ModelTicket): void;
  /**
   * @param place - the place in the log of the command that removed it, as a number like a token
   * @param forced - whether that was done by hand
   */
  removed(ticket: ModelTicket, place: bigint, forced: boolean): void;
}

/**
 * The meaning of the log's entries, written a second time and as simply as it can be: one array of tickets. Those that ask
 * for a lock are its queue, and the first of a queue are admitted: as many as leave room for each other. A ticket holds
 * once all queues in which it stands admit it. The fold under test must do the same.
 */
export class ModelLog {
  readonly #observer: ModelObserver;
  /** In the order of the log. */
  #tickets: readonly ModelTicket[] = [];
  readonly #applied = new Set<string>();
  /** For each writer: the sequence up to which it has said that it never writes an entry again. */
  readonly #settled = new Map<string, bigint>();
  #offset: bigint;

  constructor(observer: ModelObserver, offset: bigint) {
    this.#observer = observer;
    this.#offset = offset;
  }

  /** All tickets, in the order of the log. */
  get tickets(): readonly ModelTicket[] {
    return this.#tickets;
  }

  /** The tickets that ask for a lock, the first of which are admitted. */
  queue(name: string): readonly ModelTicket[] {
    return this.#tickets.filter(({ parts }) => parts.some((part) => part.name === name));
  }

  /** What the tickets of a lock take of it, in their order. */
  shares(name: string): readonly ModelShare[] {
    return this.#tickets.flatMap(({ parts }) => parts.filter((part) => part.name === name));
  }

  /** Those of a lock's tickets that it is free for. One of them that waits for other locks keeps it from others meanwhile. */
  admitted(name: string): readonly ModelTicket[] {
    return this.queue(name).slice(0, leavingRoom(this.shares(name)));
  }

  /** Whether a ticket has all its locks. */
  holds(ticket: ModelTicket): boolean {
    return ticket.parts.every(({ name }) => this.admitted(name).includes(ticket));
  }

  /** Whether a ticket for these locks that came now would hold at once. */
  admits(parts: readonly ModelPart[]): boolean {
    return parts.every((part) => admits(this.shares(part.name), part));
  }

  /** @returns whether the entry was applied now, and not before */
  apply(memberId: string, sequence: number, revision: bigint, bytes: Uint8Array): boolean {
    const key = `${memberId}/${sequence}`;
    const settledBefore = this.#settled.get(memberId) ?? 0n;
    if (this.#applied.has(key) || sequence <= settledBefore) {
      return false;
    }
    this.#applied.add(key);
    const { commands, contents, settled } = fromBinary(EntrySchema, bytes);
    this.#settled.set(memberId, settled > settledBefore ? settled : settledBefore);
    commands.forEach((command, index) => {
      const token = (revision + this.#offset) * 4096n + BigInt(index);
      this.#execute(command, memberId, token, revision, ({ content }) => contents[content]);
    });
    return true;
  }

  #execute(
    { command }: Command,
    writer: string,
    token: bigint,
    revision: bigint,
    contentOf: (create: CreateCommand) => TicketContent | undefined,
  ): void {
    switch (command.case) {
      case "create":
        this.#create(command.value, writer, token, contentOf(command.value));
        break;
      case "renew": {
        const { name, id, token: wanted, downgrade } = command.value;
        const ticket = this.#find(name, id);
        if (ticket?.token === wanted && this.holds(ticket) && !(downgrade && !mayDowngrade(ticket))) {
          ticket.memberId = writer;
          ticket.parts = downgrade ? ticket.parts.map((part) => ({ ...part, limit: noLimit })) : ticket.parts;
          this.#observer.changed(ticket);
        }
        break;
      }
      case "adopt": {
        const { name, id, token: wanted, memberId } = command.value;
        const ticket = this.#find(name, id);
        if (ticket?.token === wanted && ticket.memberId === memberId) {
          ticket.memberId = writer;
          this.#observer.changed(ticket);
        }
        break;
      }
      case "remove": {
        const { name, id, token: wanted, cause, memberId } = command.value;
        const ticket = this.#find(name, id);
        if (ticket?.token === wanted && this.#mayRemove(ticket, cause, writer, memberId)) {
          this.#remove(ticket, token);
        }
        break;
      }
      case "force": {
        const { name, token: wanted } = command.value;
        const ticket = this.queue(latin1(name)).find((one) => one.token === wanted);
        if (ticket !== undefined) {
          this.#remove(ticket, token, true);
        }
        break;
      }
      case "raiseFloor":
        // The offset is computed for the entry's first command. It counts for the commands that follow in the same
        // entry, too.
        if ((revision + this.#offset) * 4096n <= command.value.token) {
          this.#offset = command.value.token / 4096n + 1n - revision;
        }
        break;
      default:
        break;
    }
  }

  #create(
    { name, id, attempt, try: impatient }: CreateCommand,
    writer: string,
    token: bigint,
    content: TicketContent | undefined,
  ): void {
    const existing = this.#find(name, id);
    const { owner = "" } = content ?? {};
    if (existing === undefined) {
      const own = { name, permits: content?.permits ?? 0, limit: content?.limit ?? 0 };
      const parts = [own, ...(content?.others ?? [])].map(partOf);
      if (impatient && !this.admits(parts)) {
        return;
      }
      const ticket = { name: latin1(name), id: latin1(id), token, parts, owner, memberId: writer, attempt };
      const others = this.#tickets.filter((one) =>
        one.parts.some((part) => parts.some((its) => its.name === part.name)),
      );
      this.#observer.created(ticket, others);
      this.#tickets = [...this.#tickets, ticket];
      return;
    }
    if (attempt < existing.attempt) {
      return;
    }
    if (impatient && !this.holds(existing)) {
      this.#remove(existing, token);
      return;
    }
    existing.memberId = writer;
    existing.attempt = attempt;
    existing.owner = owner;
    this.#observer.changed(existing);
  }

  #mayRemove(ticket: ModelTicket, cause: RemoveCause, writer: string, memberId: string): boolean {
    switch (cause) {
      case RemoveCause.RELEASED:
        return this.holds(ticket);
      case RemoveCause.ABANDONED:
        return ticket.memberId === memberId;
      default:
        return ticket.memberId === writer;
    }
  }

  #remove(ticket: ModelTicket, place: bigint, forced = false): void {
    this.#tickets = this.#tickets.filter((other) => other !== ticket);
    this.#observer.removed(ticket, place, forced);
  }

  #find(name: Uint8Array, id: Uint8Array): ModelTicket | undefined {
    return this.#tickets.find((ticket) => ticket.name === latin1(name) && ticket.id === latin1(id));
  }
}

/** Whether a ticket that came to a queue would be admitted at once. */
export function admits(queue: readonly ModelShare[], share: ModelShare): boolean {
  return leavingRoom([...queue, share]) > queue.length;
}

/** How many of the first leave room for each other. */
function leavingRoom(queue: readonly ModelShare[]): number {
  let permits = 0;
  let least = Infinity;
  const waits = queue.findIndex((ticket) => {
    permits += ticket.permits;
    least = Math.min(least, ticket.limit);
    return permits > least;
  });
  return waits === -1 ? queue.length : waits;
}

/** Permits of a semaphore and several locks cannot be shared otherwise than they were asked for. */
function mayDowngrade({ parts: [first, ...others] }: ModelTicket): boolean {
  return others.length === 0 && (first?.limit === 1 || first?.limit === noLimit);
}

function partOf({ name, permits, limit }: Pick<LockPart, "name" | "permits" | "limit">): ModelPart {
  return { name: latin1(name), permits: permits || 1, limit: limit || 1 };
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}
