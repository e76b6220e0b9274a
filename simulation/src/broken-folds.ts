import { Fold } from "../../packages/metasrv/src/fold/fold.js";
import type { FoldSnapshot, LogBase } from "../../packages/metasrv/src/log/command-log.js";
import { type Command, knownLevel, type LoggedEntry, type Outcome } from "../../packages/metasrv/src/model/command.js";
import { noLimit, type Share } from "../../packages/metasrv/src/model/ticket-content.js";
import type { LockName } from "../../packages/metasrv/src/model/ticket-ref.js";

const start: LogBase = { level: knownLevel, revision: 0n, revisionOffset: 0n };

/** An entry that is written twice takes effect twice. */
export class ForgetfulFold extends Fold {
  #applied = 0;

  constructor(base: LogBase = start) {
    super(base);
  }

  override fresh(base: LogBase): ForgetfulFold {
    return new ForgetfulFold(base);
  }

  override apply(logged: LoggedEntry, live: boolean): readonly Outcome[] | undefined {
    return super.apply({ ...logged, sequence: 2 ** 40 + ++this.#applied }, live);
  }
}

/** On one node, every now and then, the fold takes a command for another one. */
export class DivergingFold extends Fold {
  #applied = 0;

  constructor(base: LogBase = start) {
    super(base);
  }

  override fresh(base: LogBase): DivergingFold {
    return new DivergingFold(base);
  }

  override apply(logged: LoggedEntry, live: boolean): readonly Outcome[] | undefined {
    const errs = ++this.#applied % 20 === 0;
    const { entry } = logged;
    return super.apply(
      errs ? { ...logged, entry: { ...entry, commands: entry.commands.map(mistaken) } } : logged,
      live,
    );
  }
}

/** On every node, the fold takes commands for other ones. */
export class MistakenFold extends Fold {
  readonly #mistake: (command: Command) => Command;

  constructor(mistake: (command: Command) => Command, base: LogBase = start) {
    super(base);
    this.#mistake = mistake;
  }

  override fresh(base: LogBase): MistakenFold {
    return new MistakenFold(this.#mistake, base);
  }

  override apply(logged: LoggedEntry, live: boolean): readonly Outcome[] | undefined {
    const { entry } = logged;
    return super.apply({ ...logged, entry: { ...entry, commands: entry.commands.map(this.#mistake) } }, live);
  }
}

/** A semaphore lets in one permit more than it has. */
export function oneTooMany(command: Command): Command {
  return withLimit(command, ({ limit }) => (limit > 1 && limit < noLimit ? limit + 1 : limit));
}

/** An exclusive ticket lets others in that share. */
export function sharesAll(command: Command): Command {
  return withLimit(command, ({ limit }) => (limit === 1 ? noLimit : limit));
}

/** A lock that is made a shared one keeps everybody out still. */
export function downgradesNothing(command: Command): Command {
  return command.kind === "renew" ? { ...command, downgrade: false } : command;
}

/** A try-lock does not look at who waits. */
export class OvertakingFold extends Fold {
  constructor(base: LogBase = start) {
    super(base);
  }

  override fresh(base: LogBase): OvertakingFold {
    return new OvertakingFold(base);
  }

  override admits(name: LockName, share: Share): boolean {
    const { permitsHeld, limit, holderCount } = this.state(name);
    return permitsHeld + share.permits <= Math.min(share.limit, holderCount === 0 ? Infinity : limit);
  }
}

function withLimit(command: Command, limitOf: (share: Share) => number): Command {
  return command.kind === "create"
    ? { ...command, content: { ...command.content, limit: limitOf(command.content) } }
    : command;
}

/** A snapshot has each ticket as it is when the walk comes to it, not as it was when the snapshot was begun. */
export class BlurredFold extends Fold {
  constructor(base: LogBase = start) {
    super(base);
  }

  override fresh(base: LogBase): BlurredFold {
    return new BlurredFold(base);
  }

  override snapshot(): FoldSnapshot {
    const real = super.snapshot();
    const { base, hash } = this;
    // Otherwise the fold would go on noting what changes.
    real.end();
    const tickets = this.tickets();
    let writers = real.next(0)?.writers ?? [];
    return {
      base,
      hash,
      isValid: true,
      end: () => undefined,
      next: () => {
        const { value } = tickets.next() as IteratorResult<ReturnType<typeof this.get>, undefined>;
        const part = { tickets: value === undefined ? [] : [value], writers, forced: [] };
        writers = [];
        return part.tickets.length === 0 && part.writers.length === 0 ? undefined : part;
      },
    };
  }
}

function mistaken(command: Command): Command {
  return command.kind === "create" ? { ...command, attempt: command.attempt + 1 } : command;
}
