import { LockError, notAMember } from "../src/locks/lock-errors.js";
import type {
  LogEvent,
  LogListener,
  LogListing,
  Member,
  MembershipListener,
  OpResult,
  TicketLog,
  TicketOp,
} from "../src/log/ticket-log.js";
import { settled } from "./manual-clock.js";
import { ModelStore } from "./model-store.js";

/** In what order a node hears of its own op: from the feed or from the answer. A log may do either. */
export type Order = "event first" | "answer first";
export const deliveryOrders: readonly Order[] = ["event first", "answer first"];

/** An op that waits for the test to say what becomes of it. */
export class ScriptedOp {
  readonly op: TicketOp;
  readonly #log: ScriptedTicketLog;
  readonly #resolve: (result: OpResult) => void;
  readonly #reject: (error: Error) => void;
  #result: OpResult | "not-a-member" | undefined;

  constructor(
    log: ScriptedTicketLog,
    op: TicketOp,
    resolve: (result: OpResult) => void,
    reject: (error: Error) => void,
  ) {
    this.#log = log;
    this.op = op;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** It takes effect, unless its member is gone; the event is not delivered and the answer not given yet. */
  commit(): this {
    const { op } = this;
    const mayWrite = !("ticket" in op) || this.#log.store.hasMember(op.ticket.memberId);
    this.#result ??= mayWrite ? this.#log.elsewhere(op) : "not-a-member";
    return this;
  }

  /** The answer arrives, after the commit. */
  answer(): this {
    this.commit();
    if (this.#result === "not-a-member") {
      this.#reject(notAMember());
    } else if (this.#result !== undefined) {
      this.#resolve(this.#result);
    }
    return this;
  }

  /** The log gives up on it; whether it took effect is another matter. */
  fail(error: Error = storeUnavailable()): this {
    this.#reject(error);
    return this;
  }
}

/** A ticket log of which the test decides when ops commit, are answered and delivered, and who is a member. */
export class ScriptedTicketLog implements TicketLog {
  readonly store: ModelStore;
  /** Ops wait in {@link pending} for the test; otherwise they commit as they come. */
  manual = false;
  order: Order = "event first";
  readonly pending: ScriptedOp[] = [];
  /** Every op that was asked for. */
  readonly ops: TicketOp[] = [];
  /** Until when this node's membership lasts when it joins. */
  aliveUntilMs = Number.POSITIVE_INFINITY;
  /** See {@link TicketLog.lag}. */
  lagging: string | undefined;
  left = false;
  closed = false;
  #listener: LogListener | undefined;
  #membership: MembershipListener | undefined;
  #undelivered: LogEvent[] = [];
  readonly #memberId: string;

  constructor(memberId = "n1", store = new ModelStore()) {
    this.#memberId = memberId;
    this.store = store;
    store.subscribers.push((event) => {
      this.#undelivered.push(event);
    });
  }

  open(listener: LogListener): Promise<void> {
    this.#listener = listener;
    this.relist();
    return Promise.resolve();
  }

  append(op: TicketOp): Promise<OpResult> {
    if (this.closed) {
      return Promise.reject(new LockError("shutting-down", "closed"));
    }
    this.ops.push(op);
    return new Promise((resolve, reject) => {
      const scripted = new ScriptedOp(this, op, resolve, reject);
      if (this.manual) {
        this.pending.push(scripted);
        return;
      }
      queueMicrotask(() => {
        this.run(scripted);
      });
    });
  }

  lag(): string | undefined {
    return this.lagging;
  }

  join(_member: Member, listener: MembershipListener): Promise<void> {
    this.#membership = listener;
    this.joinAs(this.#memberId);
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
    this.store.addMember(id);
    this.membership.joined(id);
    this.membership.extended(this.aliveUntilMs);
    this.deliver();
  }

  memberJoins(id: string): void {
    this.store.addMember(id);
  }

  memberGoes(id: string): void {
    this.store.removeMember(id);
  }

  /** Another node's op takes effect; its event is not delivered yet. */
  elsewhere(op: TicketOp): OpResult {
    return this.store.execute(op).result;
  }

  /** The events that have not been delivered arrive, all of them or the first few, in one batch. */
  deliver(count = this.#undelivered.length): void {
    const events = this.#undelivered.splice(0, count);
    if (events.length > 0 && !this.closed) {
      this.#listener?.apply(events);
    }
  }

  /** Continuity is lost: the events not delivered never arrive, and everything is listed instead. */
  relist(): void {
    this.#undelivered = [];
    this.resetTo(this.store.listing());
  }

  /** A listing arrives, whatever has happened since it was made. */
  resetTo(listing: LogListing): void {
    this.#listener?.reset(listing);
  }

  /** The op commits, and the node hears of it both ways. */
  run(scripted: ScriptedOp): void {
    scripted.commit();
    if (this.order === "event first") {
      this.deliver();
      scripted.answer();
    } else {
      scripted.answer();
      void this.#deliverLater();
    }
  }

  /** Everything that waits for the test happens, and what comes of it, in the order of the asking. */
  async runPending(): Promise<void> {
    for (let batch = this.pending.splice(0); batch.length > 0; batch = this.pending.splice(0)) {
      for (const scripted of batch) {
        this.run(scripted);
      }
      await settled();
    }
  }

  /** Once those who were answered have gone on, but still without anything from outside. */
  async #deliverLater(): Promise<void> {
    for (let turn = 0; turn < 20; turn++) {
      await Promise.resolve();
    }
    this.deliver();
  }

  /** The first op that waits for the test. */
  take(kind: TicketOp["kind"]): ScriptedOp {
    const index = this.pending.findIndex(({ op }) => op.kind === kind);
    const [scripted] = index === -1 ? [] : this.pending.splice(index, 1);
    if (scripted === undefined) {
      throw new Error(`no ${kind} waits, only: ${this.pending.map(({ op }) => op.kind).join(", ") || "nothing"}`);
    }
    return scripted;
  }
}

/** What a log says when it could not learn an op's outcome. */
export function storeUnavailable(): LockError {
  return new LockError("store-unavailable", "the store does not answer");
}
