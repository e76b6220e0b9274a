import type { ITxnRequest } from "etcd3";
import type { LockError } from "../../locks/lock-errors.js";
import type { OpResult, TicketOp } from "../ticket-log.js";

/** Who waits for the answer to an op. */
export interface OpWaiter {
  readonly resolve: (result: OpResult) => void;
  readonly reject: (error: LockError) => void;
}

/** An op on its way. */
export class PendingOp {
  readonly op: TicketOp;
  /** The op as a transaction of its own. */
  readonly txn: ITxnRequest;
  /** Name and id of the ticket. */
  readonly ticket: string;
  readonly deadlineMs: number;
  readonly waiter: OpWaiter;
  /** Ops that may not go out before this one is settled. */
  followers: PendingOp[] | undefined = undefined;
  /** How many ops must be settled before this one may go out. */
  waitsFor = 0;
  /** Whether an earlier attempt may have taken effect. */
  uncertain = false;
  /** Whether it may not share a transaction with writes. */
  alone = false;
  settled = false;

  constructor(op: TicketOp, txn: ITxnRequest, deadlineMs: number, waiter: OpWaiter) {
    this.op = op;
    this.txn = txn;
    this.ticket = `${op.name}/${op.id}`;
    this.deadlineMs = deadlineMs;
    this.waiter = waiter;
  }

  /** Whether its condition most likely holds. */
  get likely(): boolean {
    return !this.uncertain && this.op.kind !== "read" && !(this.op.kind === "create" && this.op.onlyIfFree);
  }
}
