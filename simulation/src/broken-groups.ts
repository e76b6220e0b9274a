import { Fold } from "../../packages/metasrv/src/fold/fold.js";
import type { LogBase } from "../../packages/metasrv/src/log/command-log.js";
import {
  type Command,
  knownLevel,
  type LoggedEntry,
  type Outcome,
  type StateHash,
} from "../../packages/metasrv/src/model/command.js";
import type { SnapshotTicket } from "../../packages/metasrv/src/model/snapshot.js";
import { extrasOf, type Share, type TicketContent } from "../../packages/metasrv/src/model/ticket-content.js";
import type { LockName } from "../../packages/metasrv/src/model/ticket-ref.js";

const start: LogBase = { level: knownLevel, revision: 0n, revisionOffset: 0n };

/** Several locks are held once the first of them is. */
export class HalfGroupFold extends Fold {
  #granted: (() => void)[] = [];

  constructor(base: LogBase = start) {
    super(base);
  }

  override fresh(base: LogBase): HalfGroupFold {
    return new HalfGroupFold(base);
  }

  override apply(logged: LoggedEntry, live: boolean): readonly Outcome[] | undefined {
    const outcomes = super.apply(logged, live);
    for (const ticket of this.tickets()) {
      const { group } = ticket;
      if (group !== undefined && group.waitsFor !== 0 && ticket.admitted) {
        const waited = group.waitsFor > 0;
        group.waitsFor = 0;
        if (waited) {
          this.#granted.push(() => ticket.follower?.granted());
        }
      }
    }
    return outcomes;
  }

  override tell(): void {
    super.tell();
    const granted = this.#granted;
    this.#granted = [];
    for (const tell of granted) {
      tell();
    }
  }
}

/** A try for several locks looks at the first of them only. */
export class FirstOnlyFold extends Fold {
  constructor(base: LogBase = start) {
    super(base);
  }

  override fresh(base: LogBase): FirstOnlyFold {
    return new FirstOnlyFold(base);
  }

  override admits(name: LockName, { permits, limit }: Share & Pick<TicketContent, "extras">): boolean {
    return super.admits(name, { permits, limit });
  }
}

/** A release by force takes the lock from whoever is the first to have it, whatever the token is. */
export class AnyTokenFold extends Fold {
  constructor(base: LogBase = start) {
    super(base);
  }

  override fresh(base: LogBase): AnyTokenFold {
    return new AnyTokenFold(base);
  }

  override apply(logged: LoggedEntry, live: boolean): readonly Outcome[] | undefined {
    const { entry } = logged;
    const commands = entry.commands.map((command) => {
      return command.kind === "force" ? { ...command, token: this.state(command.name).holderToken } : command;
    });
    return super.apply({ ...logged, entry: { ...entry, commands } }, live);
  }
}

/** What a command leaves of a ticket: none, or one or more in its place; undefined where it does what it should. */
type Rewrite = (command: Command, ticket: SnapshotTicket) => readonly SnapshotTicket[] | undefined;

/** Some commands leave other tickets than they should. The table is replaced after them, as if the log had been read anew. */
export class RewritingFold extends Fold {
  readonly #rewrite: Rewrite;

  constructor(rewrite: Rewrite, base: LogBase = start) {
    super(base);
    this.#rewrite = rewrite;
  }

  override fresh(base: LogBase): RewritingFold {
    return new RewritingFold(this.#rewrite, base);
  }

  override apply(logged: LoggedEntry, live: boolean): readonly Outcome[] | undefined {
    const rewritten = new Map<SnapshotTicket, readonly SnapshotTicket[]>();
    for (const command of logged.entry.commands) {
      const ticket = this.#ticketOf(command);
      const left = ticket && this.#rewrite(command, ticket);
      if (ticket !== undefined && left !== undefined) {
        rewritten.set(ticket, left);
      }
    }
    const outcomes = super.apply(logged, live);
    if (outcomes !== undefined && rewritten.size > 0) {
      this.#replace(rewritten);
    }
    return outcomes;
  }

  override loaded(hash: StateHash): void {
    try {
      super.loaded(hash);
    } catch {
      // A table that was rewritten has another hash, the same on all nodes.
    }
  }

  #ticketOf(command: Command): SnapshotTicket | undefined {
    switch (command.kind) {
      case "force":
        return this.at(command.name, command.token);
      case "renew":
      case "create":
        return this.get(command);
      default:
        return undefined;
    }
  }

  #replace(rewritten: ReadonlyMap<SnapshotTicket, readonly SnapshotTicket[]>): void {
    const snapshot = this.snapshot();
    const fresh = this.fresh(snapshot.base);
    for (let part = snapshot.next(Infinity); part !== undefined; part = snapshot.next(Infinity)) {
      fresh.load({ ...part, tickets: part.tickets.filter((ticket) => !rewritten.has(ticket)) });
    }
    fresh.load({ tickets: [...rewritten.values()].flat(), writers: [], forced: [] });
    fresh.loaded(snapshot.hash);
    this.become(fresh);
  }
}

/** A release by force leaves all locks of a ticket but the first. */
export function forcesFirstOnly(command: Command, ticket: SnapshotTicket): readonly SnapshotTicket[] | undefined {
  const [next, ...others] = ticket.content.extras?.others ?? [];
  if (command.kind !== "force" || next === undefined) {
    return undefined;
  }
  const { permits, limit } = next;
  const content = { ...ticket.content, permits, limit, extras: extrasOf({ ...ticket.content.extras, others }) };
  return [{ ...ticket, name: next.name, content }];
}

/** A renewal leaves only the first lock of a ticket. */
export function renewsFirstOnly(command: Command, ticket: SnapshotTicket): readonly SnapshotTicket[] | undefined {
  return command.kind === "renew" ? withoutOthers(ticket) : undefined;
}

/** A request that comes again leaves only the first lock of its ticket. */
export function repeatsFirstOnly(command: Command, ticket: SnapshotTicket): readonly SnapshotTicket[] | undefined {
  return command.kind === "create" ? withoutOthers(ticket) : undefined;
}

function withoutOthers(ticket: SnapshotTicket): readonly SnapshotTicket[] | undefined {
  const { extras } = ticket.content;
  if (extras === undefined || extras.others.length === 0) {
    return undefined;
  }
  return [{ ...ticket, content: { ...ticket.content, extras: extrasOf({ ...extras, others: [] }) } }];
}
