import { Fold } from "../src/fold/fold.js";
import type { Ticket } from "../src/fold/queue.js";
import type {
  CommandLog,
  CommandWaiter,
  LogFold,
  LogListener,
  MembershipListener,
  Urgency,
} from "../src/log/command-log.js";
import { type Command, knownLevel, type LoggedEntry } from "../src/model/command.js";
import { LockError, notAMember } from "../src/model/lock-errors.js";
import type { Member, StoredMember } from "../src/model/member.js";

/** A command that waits for the test to say what becomes of it. */
export class ScriptedCommand {
  readonly command: Command;
  readonly urgency: Urgency;
  readonly waiter: CommandWaiter;
  readonly #log: ScriptedLog;

  constructor(log: ScriptedLog, command: Command, waiter: CommandWaiter, urgency: Urgency) {
    this.#log = log;
    this.command = command;
    this.waiter = waiter;
    this.urgency = urgency;
  }

  /** It is in the log now, unless its member is gone; this node has not heard of it yet. */
  commit(): this {
    this.#log.write(this);
    return this;
  }

  /** It is in the log now, and this node hears of it, and of all before it. */
  done(): this {
    this.commit();
    this.#log.deliver();
    return this;
  }

  /** It never takes effect. */
  fail(error: LockError = storeUnavailable()): this {
    this.waiter.failed(error);
    return this;
  }

  /** Its outcome is not known in time. */
  late(error: LockError = storeUnavailable()): this {
    this.waiter.overdue(error);
    return this;
  }
}

/** What a log says when it could not learn an outcome. */
export function storeUnavailable(): LockError {
  return new LockError("store-unavailable", "the store does not answer");
}

/**
 * A command log of which the test decides when commands are written and delivered, and who is a member. What other
 * members write is written by {@link elsewhere}.
 */
export class ScriptedLog implements CommandLog {
  /** Commands wait in {@link pending} for the test; otherwise they are written and delivered as they come. */
  manual = false;
  readonly pending: ScriptedCommand[] = [];
  /** At which level it begins. */
  level = knownLevel;
  /** Every command that was asked for. */
  readonly commands: Command[] = [];
  /** What the log says, whatever this node has heard of it. */
  readonly written = new Fold();
  /** Until when this node's membership lasts when it joins. */
  aliveUntilMs = Number.POSITIVE_INFINITY;
  /** See {@link CommandLog.lag}. */
  lagging: string | undefined;
  left = false;
  closed = false;
  #fold: LogFold | undefined;
  #listener: LogListener | undefined;
  #membership: MembershipListener | undefined;
  #memberId: string | undefined;
  readonly #firstMemberId: string;
  #revision = 0n;
  readonly #sequences = new Map<string, number>();
  #members: StoredMember[] = [];
  /** What happens when what was not delivered yet is. */
  #undelivered: (() => void)[] = [];
  readonly #entries: LoggedEntry[] = [];

  constructor(memberId = "n1") {
    this.#firstMemberId = memberId;
  }

  /** The tickets that the log has, whatever this node has heard of them. */
  get tickets(): readonly Ticket[] {
    return [...this.written.tickets()];
  }

  open(fold: LogFold, listener: LogListener): Promise<void> {
    this.#fold = fold;
    this.#listener = listener;
    this.relist();
    return Promise.resolve();
  }

  append(command: Command, waiter: CommandWaiter, urgency: Urgency): void {
    this.commands.push(command);
    const scripted = new ScriptedCommand(this, command, waiter, urgency);
    if (this.manual) {
      this.pending.push(scripted);
      return;
    }
    queueMicrotask(() => {
      scripted.commit();
      this.deliver();
    });
  }

  catchUp(): Promise<void> {
    this.deliver();
    return Promise.resolve();
  }

  lag(): string | undefined {
    return this.lagging;
  }

  join(_member: Omit<Member, "level">, listener: MembershipListener): Promise<void> {
    this.#membership = listener;
    this.joinAs(this.#firstMemberId);
    return Promise.resolve();
  }

  leave(): Promise<void> {
    this.left = true;
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }

  /** What the node under test is told of its membership. */
  get membership(): MembershipListener {
    if (this.#membership === undefined) {
      throw new Error("the node has not joined");
    }
    return this.#membership;
  }

  /** The node under test becomes the member `id`. */
  joinAs(id: string): void {
    this.memberJoins(id);
    this.#memberId = id;
    this.membership.joined(id);
    this.membership.extended(this.aliveUntilMs);
    this.deliver();
  }

  /** The event is not delivered yet. */
  memberJoins(id: string): void {
    const createRevision = ++this.#revision;
    const member = { address: `${id}:1`, version: "0", startedUnixMs: 0, level: knownLevel };
    this.#members = [...this.#members, { id, member, createRevision }];
    this.#tellMembers();
  }

  /** The event is not delivered yet. */
  memberGoes(id: string): void {
    this.#revision++;
    this.#members = this.#members.filter((member) => member.id !== id);
    this.written.forgetMember(id);
    this.#undelivered.push(() => {
      this.#fold?.forgetMember(id);
    });
    this.#tellMembers();
  }

  /** The node's own command is written, unless its member is gone. */
  write({ command, waiter }: ScriptedCommand): void {
    const memberId = this.#memberId;
    if (memberId === undefined || !this.#members.some(({ id }) => id === memberId)) {
      this.#undelivered.push(() => {
        waiter.failed(notAMember());
      });
      return;
    }
    const entry = this.#entryOf(memberId, [command]);
    this.#undelivered.push(() => {
      const [outcome] = this.#fold?.apply(entry, true) ?? [];
      if (outcome !== undefined) {
        waiter.settled(outcome);
      }
    });
  }

  /** Another member's commands are written; they are not delivered yet. */
  elsewhere(memberId: string, ...commands: Command[]): void {
    const entry = this.#entryOf(memberId, commands);
    this.#undelivered.push(() => {
      this.#fold?.apply(entry, true);
    });
  }

  /** What has not been delivered arrives, all of it or the first few, in one batch. */
  deliver(count = this.#undelivered.length): void {
    const arriving = this.#undelivered.splice(0, count);
    if (arriving.length === 0 || this.closed) {
      return;
    }
    for (const arrive of arriving) {
      arrive();
    }
    this.#fold?.tell();
  }

  /** Continuity is lost: everything is read anew. What this node wrote and has not heard of, it hears of in passing. */
  relist(): void {
    const fold = this.#fold;
    if (fold === undefined) {
      return;
    }
    const fresh = fold.fresh({ level: this.level, revision: 0n, revisionOffset: 0n });
    for (const entry of this.#entries) {
      fresh.apply(entry, false);
    }
    fold.become(fresh);
    this.#undelivered = [];
    fold.tell();
    this.#listener?.members(this.#members);
  }

  /** Everything that waits for the test happens, in the order of the asking. */
  async runPending(): Promise<void> {
    for (let batch = this.pending.splice(0); batch.length > 0; batch = this.pending.splice(0)) {
      for (const scripted of batch) {
        scripted.commit();
      }
      this.deliver();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** The first command of the kind that waits for the test. */
  take(kind: Command["kind"]): ScriptedCommand {
    const index = this.pending.findIndex(({ command }) => command.kind === kind);
    const [scripted] = index === -1 ? [] : this.pending.splice(index, 1);
    if (scripted === undefined) {
      const waiting = this.pending.map(({ command }) => command.kind).join(", ");
      throw new Error(`no ${kind} waits, only: ${waiting === "" ? "nothing" : waiting}`);
    }
    return scripted;
  }

  #entryOf(memberId: string, commands: readonly Command[]): LoggedEntry {
    const sequence = (this.#sequences.get(memberId) ?? 0) + 1;
    this.#sequences.set(memberId, sequence);
    const entry = { level: knownLevel, settled: sequence - 1, seen: undefined, commands };
    const logged = { memberId, sequence, revision: ++this.#revision, entry };
    this.#entries.push(logged);
    this.written.apply(logged, false);
    return logged;
  }

  #tellMembers(): void {
    const members = this.#members;
    this.#undelivered.push(() => {
      this.#listener?.members(members);
    });
  }
}
