import { fromBinary } from "@bufbuild/protobuf";
import { type Command, type CreateCommand, EntrySchema, RemoveCause } from "@metasrv/proto/metasrv/store/v1";

/** A ticket as the model has it. */
export interface ModelTicket {
  readonly name: string;
  readonly id: string;
  readonly token: bigint;
  owner: string;
  memberId: string;
  attempt: number;
  permits: number;
  limit: number;
}

/** What a ticket takes of its lock, and the most that all may take beside it. */
export type ModelShare = Pick<ModelTicket, "permits" | "limit">;

const noLimit = 2 ** 32 - 1;

/** Told what happens to the model's tickets. */
export interface ModelObserver {
  created(ticket: ModelTicket, others: readonly ModelTicket[]): void;
  changed(ticket: ModelTicket): void;
  /** @param place - the place in the log of the command that removed it, as a number like a token */
  removed(ticket: ModelTicket, place: bigint): void;
}

/**
 * The meaning of the log's entries, written a second time and as simply as it can be: one array of tickets for each
 * lock, the first of which hold: as many as leave room for each other. The fold under test must do the same.
 */
export class ModelLog {
  readonly #observer: ModelObserver;
  readonly #queues = new Map<string, ModelTicket[]>();
  readonly #applied = new Set<string>();
  /** For each writer: the sequence up to which it has said that it never writes an entry again. */
  readonly #settled = new Map<string, bigint>();
  #offset: bigint;

  constructor(observer: ModelObserver, offset: bigint) {
    this.#observer = observer;
    this.#offset = offset;
  }

  /** The tickets of a lock, the first of which hold. */
  queue(name: string): readonly ModelTicket[] {
    return this.#queues.get(name) ?? [];
  }

  /** Those of a lock's tickets that hold. */
  holders(name: string): readonly ModelTicket[] {
    const queue = this.queue(name);
    return queue.slice(0, holding(queue));
  }

  /** Whether a ticket that came now would hold at once. */
  admits(name: string, share: ModelShare): boolean {
    return admits(this.queue(name), share);
  }

  tickets(): readonly ModelTicket[] {
    return [...this.#queues.values()].flat();
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
      this.#execute(command, memberId, token, revision, ({ content: at }) => {
        const { owner = "", permits = 0, limit = 0 } = contents[at] ?? {};
        return { owner, permits: permits || 1, limit: limit || 1 };
      });
    });
    return true;
  }

  #execute(
    { command }: Command,
    writer: string,
    token: bigint,
    revision: bigint,
    contentOf: (create: CreateCommand) => Content,
  ): void {
    switch (command.case) {
      case "create":
        this.#create(command.value, writer, token, contentOf(command.value));
        break;
      case "renew": {
        const { name, id, token: wanted, downgrade } = command.value;
        const ticket = this.#find(name, id);
        const isPart = ticket !== undefined && ticket.limit !== 1 && ticket.limit !== noLimit;
        if (ticket?.token === wanted && this.#holds(ticket) && !(downgrade && isPart)) {
          ticket.memberId = writer;
          ticket.limit = downgrade ? noLimit : ticket.limit;
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

  #create({ name, id, attempt, try: impatient }: CreateCommand, writer: string, token: bigint, content: Content): void {
    const existing = this.#find(name, id);
    const lock = latin1(name);
    if (existing === undefined) {
      const queue = this.#queues.get(lock) ?? [];
      if (impatient && !this.admits(lock, content)) {
        return;
      }
      const ticket = { name: lock, id: latin1(id), token, memberId: writer, attempt, ...content };
      this.#observer.created(ticket, queue);
      this.#queues.set(lock, [...queue, ticket]);
      return;
    }
    if (attempt < existing.attempt) {
      return;
    }
    if (impatient && !this.#holds(existing)) {
      this.#remove(existing, token);
      return;
    }
    existing.memberId = writer;
    existing.attempt = attempt;
    existing.owner = content.owner;
    this.#observer.changed(existing);
  }

  #mayRemove(ticket: ModelTicket, cause: RemoveCause, writer: string, memberId: string): boolean {
    switch (cause) {
      case RemoveCause.RELEASED:
        return this.#holds(ticket);
      case RemoveCause.ABANDONED:
        return ticket.memberId === memberId;
      default:
        return ticket.memberId === writer;
    }
  }

  #holds(ticket: ModelTicket): boolean {
    return this.holders(ticket.name).includes(ticket);
  }

  #remove(ticket: ModelTicket, place: bigint): void {
    this.#queues.set(
      ticket.name,
      this.queue(ticket.name).filter((other) => other !== ticket),
    );
    this.#observer.removed(ticket, place);
  }

  #find(name: Uint8Array, id: Uint8Array): ModelTicket | undefined {
    return this.queue(latin1(name)).find((ticket) => ticket.id === latin1(id));
  }
}

type Content = ModelShare & { readonly owner: string };

/** Whether a ticket that came to a queue would hold at once. */
export function admits(queue: readonly ModelShare[], share: ModelShare): boolean {
  return holding([...queue, share]) > queue.length;
}

/** How many of the first hold. */
function holding(queue: readonly ModelShare[]): number {
  let permits = 0;
  let least = Infinity;
  const waits = queue.findIndex((ticket) => {
    permits += ticket.permits;
    least = Math.min(least, ticket.limit);
    return permits > least;
  });
  return waits === -1 ? queue.length : waits;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}
