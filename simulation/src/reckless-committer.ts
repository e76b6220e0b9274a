import { notAMember } from "../../packages/metasrv/src/locks/lock-errors.js";
import type { EtcdCommitterOptions } from "../../packages/metasrv/src/log/etcd/etcd-committer.js";
import { storeUnavailable } from "../../packages/metasrv/src/log/etcd/etcd-errors.js";
import { resultOfOp, txnOfOp } from "../../packages/metasrv/src/log/etcd/etcd-op.js";
import type { Committer } from "../../packages/metasrv/src/log/etcd/etcd-ticket-log.js";
import type { OpResult, TicketOp } from "../../packages/metasrv/src/log/ticket-log.js";

interface Pending {
  readonly op: TicketOp;
  readonly resolve: (result: OpResult) => void;
  readonly reject: (error: Error) => void;
}

/** A group commit that puts all that has gathered into one transaction, whatever it is. */
export class RecklessCommitter implements Committer {
  readonly #options: EtcdCommitterOptions;
  #gathered: Pending[] = [];
  #sending = false;

  constructor(options: EtcdCommitterOptions) {
    this.#options = options;
  }

  append(op: TicketOp): Promise<OpResult> {
    return new Promise((resolve, reject) => {
      this.#gathered.push({ op, resolve, reject });
      if (!this.#sending) {
        this.#sending = true;
        queueMicrotask(() => void this.#send());
      }
    });
  }

  close(): void {
    this.#gathered = [];
  }

  async #send(): Promise<void> {
    const { keys, txn, hosts } = this.#options;
    while (this.#gathered.length > 0) {
      const batch = this.#gathered.splice(0, 100);
      const success = batch.map(({ op }) => ({ request_txn: txnOfOp(keys, op) }));
      try {
        const { responses, header } = await txn({ compare: [], success, failure: [] });
        batch.forEach(({ op, resolve, reject }, index) => {
          const response = responses[index]?.response_txn;
          const result = response && resultOfOp(keys, op, { ...response, header }, false);
          if (result === "not-a-member") {
            reject(notAMember());
          } else if (result !== undefined) {
            resolve(result);
          }
        });
      } catch (error) {
        for (const { reject } of batch) {
          reject(storeUnavailable(hosts, error));
        }
      }
    }
    this.#sending = false;
  }
}
