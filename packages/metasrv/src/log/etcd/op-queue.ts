import { TicketMap } from "../../locks/ticket-map.js";
import type { LockName } from "../ticket-log.js";
import type { PendingOp } from "./pending-op.js";

/**
 * The ops that are not settled, and which of them may go out.
 *
 * etcd evaluates all comparisons of a transaction, nested ones too, against the state before it. So one transaction must
 * not carry two ops on one ticket, nor two creations for one name: both would succeed. Such ops wait for one another
 * here, each until the one before it is settled, however many transactions are under way.
 */
export class OpQueue {
  /** May go out. */
  #ready: PendingOp[] = [];
  /** The last op on each ticket that is not settled. */
  readonly #lastOfTicket = new TicketMap<PendingOp>();
  /** The last creation for each name that is not settled. */
  readonly #lastCreation = new Map<LockName, PendingOp>();
  readonly #unsettled = new Set<PendingOp>();

  /** What may go out, in the order asked for. */
  get ready(): readonly PendingOp[] {
    return this.#ready;
  }

  /** What is not settled, the oldest first. */
  unsettled(): Iterable<PendingOp> {
    return this.#unsettled;
  }

  add(pending: PendingOp): void {
    const { op } = pending;
    this.#unsettled.add(pending);
    const before = this.#lastOfTicket.get(op);
    this.#lastOfTicket.set(pending);
    if (before !== undefined) {
      follow(before, pending);
    }
    if (op.kind === "create") {
      const creation = this.#lastCreation.get(op.name);
      this.#lastCreation.set(op.name, pending);
      if (creation !== undefined && creation !== before) {
        follow(creation, pending);
      }
    }
    if (pending.waitsFor === 0) {
      this.#ready.push(pending);
    }
  }

  /** Takes the first of what may go out. */
  take(count: number): PendingOp[] {
    const taken = this.#ready.splice(0, count);
    for (const pending of taken) {
      pending.sent = true;
    }
    return taken;
  }

  /** Takes out what was withdrawn; what waited for it, too, if that was. */
  takeWithdrawn(): PendingOp[] {
    const withdrawn: PendingOp[] = [];
    for (const pending of this.#ready) {
      if (pending.withdrawn) {
        // What follows it is appended to what may go out, and so is looked at here.
        this.settle(pending);
        withdrawn.push(pending);
      }
    }
    if (withdrawn.length > 0) {
      this.putBack([]);
    }
    return withdrawn;
  }

  /** They go out once more, before all others. */
  putBack(ops: readonly PendingOp[]): void {
    this.#ready = [...ops, ...this.#ready].filter((pending) => !pending.settled);
  }

  /** It is known what became of it, or nobody is to learn it any more: what waited for it may go out. */
  settle(pending: PendingOp): void {
    const { op } = pending;
    pending.settled = true;
    this.#unsettled.delete(pending);
    if (this.#lastOfTicket.get(op) === pending) {
      this.#lastOfTicket.delete(op);
    }
    if (op.kind === "create" && this.#lastCreation.get(op.name) === pending) {
      this.#lastCreation.delete(op.name);
    }
    if (pending.followers !== undefined) {
      for (const follower of pending.followers) {
        if (--follower.waitsFor === 0) {
          this.#ready.push(follower);
        }
      }
    }
  }
}

function follow(before: PendingOp, pending: PendingOp): void {
  (before.followers ??= []).push(pending);
  pending.waitsFor++;
}
