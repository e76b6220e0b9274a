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
}

/** Told what happens to the model's tickets. */
export interface ModelObserver {
  created(ticket: ModelTicket, others: readonly ModelTicket[]): void;
  changed(ticket: ModelTicket): void;
  /** @param place - the place in the log of the command that removed it, as a number like a token */
  removed(ticket: ModelTicket, place: bigint): void;
}

/**
 * The meaning of the log's entries, written a second time and as simply as it can be: one array of tickets for each
 * lock, the first of which holds. The fold under test must do the same.
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

  /** The tickets of a lock, the first of which holds. */
  queue(name: string): readonly ModelTicket[] {
    return this.#queues.get(name) ?? [];
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
      this.#execute(command, memberId, token, revision, (create) => contents[create.content]?.owner ?? "");
    });
    return true;
  }

  #execute(
    { command }: Command,
    writer: string,
    token: bigint,
    revision: bigint,
    ownerOf: (create: CreateCommand) => string,
  ): void {
    switch (command.case) {
      case "create":
        this.#create(command.value, writer, token, ownerOf(command.value));
        break;
      case "renew": {
        const { name, id, token: wanted } = command.value;
        const ticket = this.#find(name, id);
        if (ticket?.token === wanted && this.#holds(ticket)) {
          ticket.memberId = writer;
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

  #create({ name, id, attempt, try: impatient }: CreateCommand, writer: string, token: bigint, owner: string): void {
    const existing = this.#find(name, id);
    const lock = latin1(name);
    if (existing === undefined) {
      const queue = this.#queues.get(lock) ?? [];
      if (impatient && queue.length > 0) {
        return;
      }
      const ticket = { name: lock, id: latin1(id), token, owner, memberId: writer, attempt };
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
    existing.owner = owner;
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
    return this.queue(ticket.name)[0] === ticket;
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

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}
