import type { ITxnRequest, ITxnResponse } from "etcd3";
import type { Logger } from "pino";
import type { Clock, Timer } from "../../locks/clock.js";
import type { Gather } from "../../locks/gather.js";
import { LockError, notAMember } from "../../locks/lock-errors.js";
import type { OpResult, TicketOp } from "../ticket-log.js";
import { Backoff } from "./backoff.js";
import { classifyEtcdError, type EtcdFailure, storeFull, storeUnavailable } from "./etcd-errors.js";
import type { EtcdKeys } from "./etcd-keys.js";
import { resultOfOp, revisionOf, sizeOfOp, txnOfAll, txnOfEach, txnOfOp } from "./etcd-op.js";
import { OpQueue } from "./op-queue.js";
import { PendingOp } from "./pending-op.js";

/** What a committer works with. */
export interface EtcdCommitterOptions {
  readonly txn: (request: ITxnRequest) => Promise<ITxnResponse>;
  /** Told of all that a transaction changed, at its revision, before those are answered who asked for it. */
  readonly committed?: (revision: bigint, ops: readonly TicketOp[]) => void;
  readonly keys: EtcdKeys;
  readonly clock: Clock;
  readonly gather: Gather;
  readonly logger: Logger;
  readonly hosts: readonly string[];
  /** How long an op is tried, in milliseconds. */
  readonly requestTimeoutMs: number;
  /** etcd's `--max-txn-ops`. */
  readonly maxTxnOps: number;
  /** How many transactions may be in flight at a time; 4 by default. */
  readonly maxInFlight?: number;
}

/** etcd's default bound on a request is 1.5 MiB. */
const maxTxnBytes = 1024 * 1024;

/** So that what has just missed a transaction need not wait for all of it. */
const defaultInFlight = 4;

/** How long ops that are in no hurry wait for others to go out with, in milliseconds, and how many do. */
const unhurriedMs = 2;
const unhurriedOps = 16;

/**
 * Group commit: the ops that arrive in one turn of the event loop, or while as many transactions are in flight as may be,
 * go out together in the next one. One that others wait for goes out with what is there already.
 *
 * They go out as one flat transaction, which does all or nothing, as that is what costs etcd least; where a condition
 * does not hold, or may well not, each as a transaction nested in it.
 */
export class EtcdCommitter {
  readonly #options: EtcdCommitterOptions;
  readonly #backoff: Backoff;
  readonly #queue = new OpQueue();
  readonly #maxInFlight: number;
  #width: number;
  #inFlight = 0;
  #sendScheduled = false;
  /** After a failure: nothing goes out until it has passed. */
  #pausing = false;
  #closed = false;
  #hurryTimer: Timer | undefined;

  constructor(options: EtcdCommitterOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.clock);
    this.#maxInFlight = options.maxInFlight ?? defaultInFlight;
    // An op that goes nested has two comparisons of its own, which count against the same allowance; a flat one has one
    // more in all.
    this.#width = Math.max(1, options.maxTxnOps - 2);
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
      this.#queue.add(new PendingOp(op, txn, clock.now() + requestTimeoutMs, { resolve, reject }));
      this.#scheduleSend(op.kind === "delete" && op.awaited === true);
    });
  }

  /** Rejects what is not settled, and everything from now on. */
  close(): void {
    this.#closed = true;
    this.#hurryTimer?.cancel();
    this.#backoff.close();
    for (const pending of this.#queue.unsettled()) {
      this.#reject(pending, closed());
    }
  }

  get #maySend(): boolean {
    return this.#queue.ready.length > 0 && this.#inFlight < this.#maxInFlight && !this.#pausing && !this.#closed;
  }

  /**
   * Whether all that may go out is in no hurry. On a busy lock, the next unlock is about to come: what goes out before it,
   * alone, keeps etcd busy when it does.
   */
  get #unhurried(): boolean {
    const { ready } = this.#queue;
    return ready.length < unhurriedOps && ready.every((pending) => pending.unhurried);
  }

  #scheduleSend(urgent = false): void {
    if (!this.#maySend || (this.#sendScheduled && !urgent)) {
      return;
    }
    if (this.#unhurried) {
      this.#hurryTimer ??= this.#options.clock.after(unhurriedMs, () => {
        this.#hurryTimer = undefined;
        // Those too that are to follow them: each would wait anew, and a long queue be long in forming.
        for (const pending of this.#queue.unsettled()) {
          pending.unhurried = false;
        }
        this.#scheduleSend();
      });
    } else {
      this.#sendScheduled = true;
      this.#options.gather(() => {
        this.#sendScheduled = false;
        this.#send();
      }, urgent);
    }
  }

  #send(): void {
    for (const { waiter } of this.#queue.takeWithdrawn()) {
      waiter.resolve({ done: false, existing: undefined });
    }
    while (this.#maySend && !this.#unhurried) {
      // What has waited for company has it now.
      this.#hurryTimer?.cancel();
      this.#hurryTimer = undefined;
      this.#inFlight++;
      void this.#attempt(this.#take());
    }
    // What is left may be in no hurry, with nothing in flight after which it would be looked at again.
    this.#scheduleSend();
  }

  async #attempt(batch: readonly PendingOp[]): Promise<void> {
    const startedAtMs = this.#options.clock.now();
    try {
      await this.#commit(batch);
      this.#backoff.reset();
      this.#inFlight--;
    } catch (error) {
      this.#inFlight--;
      this.#failed(batch, error);
      if (!this.#pausing && this.#queue.ready.length > 0) {
        this.#pausing = true;
        await this.#backoff.wait(startedAtMs);
        this.#pausing = false;
      }
    }
    this.#scheduleSend();
  }

  #take(): PendingOp[] {
    const { ready } = this.#queue;
    const removalsOnly = ready[0]?.alone === true;
    let bytes = 0;
    let count = 0;
    for (const pending of ready) {
      bytes += sizeOfOp(pending.op);
      if (count === this.#width || (count > 0 && bytes > maxTxnBytes) || pending.alone !== removalsOnly) {
        break;
      }
      count++;
    }
    return this.#queue.take(count);
  }

  async #commit(batch: readonly PendingOp[]): Promise<void> {
    const { txn, committed } = this.#options;
    const [single] = batch;
    if (single !== undefined && batch.length === 1) {
      this.#answer(batch, [await txn(single.txn)]);
      return;
    }
    if (batch.every(({ likely }) => likely)) {
      const response = await txn(txnOfAll(batch));
      if (response.succeeded) {
        const revision = revisionOf(response);
        committed?.(
          revision,
          batch.map(({ op }) => op),
        );
        for (const pending of batch) {
          this.#resolve(pending, { done: true, revision });
        }
        return;
      }
    }
    const { responses, header } = await txn(txnOfEach(batch));
    this.#answer(
      batch,
      responses.map(({ response_txn }) => ({ ...response_txn, header })),
    );
  }

  /** @param responses - to the ops one by one; all of one transaction */
  #answer(batch: readonly PendingOp[], responses: readonly ITxnResponse[]): void {
    const [first] = responses;
    if (first === undefined || responses.length !== batch.length) {
      throw new Error(`etcd answered ${responses.length} of ${batch.length} ops`);
    }
    const done = batch.filter((_, index) => responses[index]?.succeeded);
    if (done.length > 0) {
      this.#options.committed?.(
        revisionOf(first),
        done.map(({ op }) => op),
      );
    }
    batch.forEach((pending, index) => {
      const response = responses[index] ?? first;
      const result = resultOfOp(this.#options.keys, pending.op, response, pending.uncertain);
      if (result === "not-a-member") {
        this.#reject(pending, notAMember());
      } else {
        this.#resolve(pending, result);
      }
    });
  }

  #resolve(pending: PendingOp, result: OpResult): void {
    if (!pending.settled) {
      this.#queue.settle(pending);
      pending.waiter.resolve(result);
    }
  }

  #failed(batch: readonly PendingOp[], error: unknown): void {
    const failure = classifyEtcdError(error);
    const again: PendingOp[] = [];
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
    this.#expire(error);
    this.#queue.putBack(again);
    this.#report(batch, failure, error);
  }

  /** Gives up on the ops that have been tried for long enough: the oldest come first. */
  #expire(error: unknown): void {
    const now = this.#options.clock.now();
    for (const pending of this.#queue.unsettled()) {
      if (pending.deadlineMs > now) {
        break;
      }
      this.#reject(pending, storeUnavailable(this.#options.hosts, error));
    }
  }

  #reject(pending: PendingOp, error: LockError): void {
    if (!pending.settled) {
      this.#queue.settle(pending);
      pending.waiter.reject(error);
    }
  }

  #report(batch: readonly PendingOp[], failure: EtcdFailure, error: unknown): void {
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

function closed(): LockError {
  return new LockError("shutting-down", "this node is shutting down, try another node");
}
