import type { ITxnRequest } from "etcd3";
import type { LockError } from "../../locks/lock-errors.js";
import type { LockName, OpResult, TicketId, TicketOp } from "../ticket-log.js";

/** Who waits for the answer to an op. */
export interface OpWaiter {
  readonly resolve: (result: OpResult) => void;
  readonly reject: (error: LockError) => void;
}

/** An op on its way. */
export class PendingOp {
  readonly op: TicketOp;
  readonly name: LockName;
  readonly id: TicketId;
  /** The op as a transaction of its own. */
  readonly txn: ITxnRequest;
  readonly deadlineMs: number;
  readonly waiter: OpWaiter;
  /** Ops that may not go out before this one is settled. */
  followers: PendingOp[] | undefined = undefined;
  /** How many ops must be settled before this one may go out. */
  waitsFor = 0;
  /** Whether it may wait for another to go out with. */
  unhurried: boolean;
  sent = false;
  /** Whether an earlier attempt may have taken effect. */
  uncertain = false;
  /** Whether it may not share a transaction with writes. */
  alone = false;
  settled = false;

  constructor(op: TicketOp, txn: ITxnRequest, deadlineMs: number, waiter: OpWaiter) {
    this.op = op;
    this.name = op.name;
    this.id = op.id;
    this.txn = txn;
    this.deadlineMs = deadlineMs;
    this.waiter = waiter;
    this.unhurried = op.kind === "create" && op.willWait === true;
  }

  /** Whether nobody wants it any more, and it never went out. */
  get withdrawn(): boolean {
    return !this.sent && this.op.kind === "create" && this.op.wanted?.() === false;
  }

  /** Whether its condition most likely holds. */
  get likely(): boolean {
    return !this.uncertain && this.op.kind !== "read" && !(this.op.kind === "create" && this.op.onlyIfFree);
  }
}
