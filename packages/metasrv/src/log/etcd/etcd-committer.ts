import type { ITxnRequest, ITxnResponse } from "etcd3";
import type { Logger } from "pino";
import type { Clock } from "../../locks/clock.js";
import { LockError } from "../../locks/lock-errors.js";
import type { LockName, OpResult, TicketOp } from "../ticket-log.js";
import { Backoff } from "./backoff.js";
import { classifyEtcdError, type EtcdFailure, storeFull, storeUnavailable } from "./etcd-errors.js";
import type { EtcdKeys } from "./etcd-keys.js";
import { resultOfOp, sizeOfOp, txnOfOp } from "./etcd-op.js";

/** What a committer works with. */
export interface EtcdCommitterOptions {
  readonly txn: (request: ITxnRequest) => Promise<ITxnResponse>;
  readonly keys: EtcdKeys;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly hosts: readonly string[];
  /** How long an op is tried, in milliseconds. */
  readonly requestTimeoutMs: number;
  /** etcd's `--max-txn-ops`. */
  readonly maxTxnOps: number;
}

/** etcd's default bound on a request is 1.5 MiB. */
const maxTxnBytes = 1024 * 1024;

/**
 * Group commit: the ops that arrive while a transaction is in flight go out together in the next one.
 *
 * etcd evaluates all comparisons of a transaction, nested ones too, against the state before it. So one transaction must
 * not carry two ops on one ticket, nor two creations for one name: both would succeed. Such ops wait for one another
 * here, each until the one before it is settled.
 */
export class EtcdCommitter {
  readonly #options: EtcdCommitterOptions;
  readonly #backoff: Backoff;
  /** May go out. */
  #ready: Pending[] = [];
  /** The last op on each ticket that is not settled. */
  readonly #lastOfTicket = new Map<string, Pending>();
  /** The last creation for each name that is not settled. */
  readonly #lastCreation = new Map<LockName, Pending>();
  readonly #unsettled = new Set<Pending>();
  #width: number;
  #sending = false;
  #closed = false;

  constructor(options: EtcdCommitterOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.clock);
    // Each op is a nested transaction whose own ops count against the same allowance: width + depth must fit.
    this.#width = Math.max(1, options.maxTxnOps - 1);
  }

  /** See `TicketLog.append`. */
  append(op: TicketOp): Promise<OpResult> {
    if (this.#closed) {
      return Promise.reject(closed());
    }
    return new Promise((resolve, reject) => {
      const { keys, clock, requestTimeoutMs } = this.#options;
      // Made at once: an op that cannot be sent fails alone.
      const txn = txnOfOp(keys, op);
      const pending = new Pending(op, txn, clock.now() + requestTimeoutMs, resolve, reject);
      this.#unsettled.add(pending);
      this.#enqueue(pending);
      if (!this.#sending && this.#ready.length > 0) {
        this.#sending = true;
        queueMicrotask(() => {
          void this.#send();
        });
      }
    });
  }

  /** Rejects what is not settled, and everything from now on. */
  close(): void {
    this.#closed = true;
    this.#backoff.close();
    for (const pending of this.#unsettled) {
      this.#reject(pending, closed());
    }
    this.#ready = [];
  }

  #enqueue(pending: Pending): void {
    const { op, ticket } = pending;
    const before = this.#lastOfTicket.get(ticket);
    this.#lastOfTicket.set(ticket, pending);
    if (before !== undefined) {
      (before.followers ??= []).push(pending);
      pending.waitsFor++;
    }
    if (op.kind === "create") {
      const creation = this.#lastCreation.get(op.name);
      this.#lastCreation.set(op.name, pending);
      if (creation !== undefined && creation !== before) {
        (creation.followers ??= []).push(pending);
        pending.waitsFor++;
      }
    }
    if (pending.waitsFor === 0) {
      this.#ready.push(pending);
    }
  }

  #settle(pending: Pending): void {
    const { op, ticket } = pending;
    this.#unsettled.delete(pending);
    if (this.#lastOfTicket.get(ticket) === pending) {
      this.#lastOfTicket.delete(ticket);
    }
    if (this.#lastCreation.get(op.name) === pending) {
      this.#lastCreation.delete(op.name);
    }
    for (const follower of pending.followers ?? []) {
      if (--follower.waitsFor === 0) {
        this.#ready.push(follower);
      }
    }
  }

  async #send(): Promise<void> {
    while (this.#ready.length > 0) {
      const batch = this.#take();
      try {
        await this.#commit(batch);
        this.#backoff.reset();
      } catch (error) {
        this.#failed(batch, error);
        if (this.#ready.length > 0) {
          await this.#backoff.wait();
        }
      }
    }
    this.#sending = false;
  }

  #take(): Pending[] {
    const removalsOnly = this.#ready[0]?.alone === true;
    let bytes = 0;
    let count = 0;
    for (const pending of this.#ready) {
      bytes += sizeOfOp(pending.op);
      if (count === this.#width || (count > 0 && bytes > maxTxnBytes) || pending.alone !== removalsOnly) {
        break;
      }
      count++;
    }
    return this.#ready.splice(0, count);
  }

  async #commit(batch: readonly Pending[]): Promise<void> {
    const { txn } = this.#options;
    const [single] = batch;
    if (single !== undefined && batch.length === 1) {
      this.#answer(batch, [await txn(single.txn)]);
      return;
    }
    const nested = batch.map((pending) => ({ request_txn: pending.txn }));
    const response = await txn({ compare: [], success: nested, failure: [] });
    this.#answer(
      batch,
      response.responses.map(({ response_txn }) => ({ ...response_txn, header: response.header })),
    );
  }

  #answer(batch: readonly Pending[], responses: readonly ITxnResponse[]): void {
    batch.forEach((pending, index) => {
      const response = responses[index];
      if (response === undefined) {
        throw new Error(`etcd answered ${responses.length} of ${batch.length} ops`);
      }
      const result = resultOfOp(this.#options.keys, pending.op, response, pending.uncertain);
      this.#settle(pending);
      pending.resolve(result);
    });
  }

  #failed(batch: readonly Pending[], error: unknown): void {
    const failure = classifyEtcdError(error);
    const again: Pending[] = [];
    for (const pending of batch) {
      const writes = pending.op.kind === "create" || pending.op.kind === "update";
      if (failure === "full" && writes) {
        const { hosts } = this.#options;
        this.#reject(pending, pending.uncertain ? storeUnavailable(hosts, error) : storeFull(error));
      } else if (failure === "too-large" && batch.length === 1) {
        this.#reject(pending, storeUnavailable(this.#options.hosts, error));
      } else {
        // Removals need no space, so etcd takes them without the writes that it refused.
        pending.alone ||= failure === "full";
        pending.uncertain ||= failure === "unknown";
        again.push(pending);
      }
    }
    this.#ready.unshift(...again);
    this.#expire(error);
    this.#report(batch, failure, error);
  }

  /** Gives up on the ops that have been tried for long enough: the oldest come first. */
  #expire(error: unknown): void {
    const now = this.#options.clock.now();
    for (const pending of this.#unsettled) {
      if (pending.deadlineMs > now) {
        break;
      }
      this.#reject(pending, storeUnavailable(this.#options.hosts, error));
    }
    this.#ready = this.#ready.filter((pending) => this.#unsettled.has(pending));
  }

  #reject(pending: Pending, error: LockError): void {
    if (this.#unsettled.has(pending)) {
      this.#settle(pending);
      pending.reject(error);
    }
  }

  #report(batch: readonly Pending[], failure: EtcdFailure, error: unknown): void {
    const { logger } = this.#options;
    if (failure === "too-large" && batch.length > 1) {
      this.#width = Math.floor(batch.length / 2);
      logger.warn(
        { err: error, width: this.#width },
        "etcd refuses transactions of this size; set --store-max-txn-ops to etcd's --max-txn-ops",
      );
    } else {
      logger.debug({ err: error, ops: batch.length }, "transaction failed");
    }
  }
}

/** An op on its way. */
class Pending {
  readonly op: TicketOp;
  readonly txn: ITxnRequest;
  /** Name and id of the ticket. */
  readonly ticket: string;
  readonly deadlineMs: number;
  readonly resolve: (result: OpResult) => void;
  readonly reject: (error: LockError) => void;
  /** Ops that may not go out before this one is settled. */
  followers: Pending[] | undefined = undefined;
  /** How many ops must be settled before this one may go out. */
  waitsFor = 0;
  /** Whether an earlier attempt may have taken effect. */
  uncertain = false;
  /** Whether it may not share a transaction with writes. */
  alone = false;

  constructor(
    op: TicketOp,
    txn: ITxnRequest,
    deadlineMs: number,
    resolve: (result: OpResult) => void,
    reject: (error: LockError) => void,
  ) {
    this.op = op;
    this.txn = txn;
    this.ticket = `${op.name}/${op.id}`;
    this.deadlineMs = deadlineMs;
    this.resolve = resolve;
    this.reject = reject;
  }
}

function closed(): LockError {
  return new LockError("shutting-down", "this node is shutting down, try another node");
}
