import type { Clock, Timer } from "@metasrv/wire";
import type { Logger } from "pino";
import type { EtcdClient } from "./rpc/etcd-client.js";
import { EtcdRefusal } from "./rpc/etcd-refusal.js";

/** What a database's size is watched with. */
export interface DatabaseSizeOptions {
  readonly client: Pick<EtcdClient, "databaseBytes">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** etcd's `--quota-backend-bytes`, which it does not tell itself. */
  readonly quotaBytes: number;
  /** Whether this process leads: one warning for a cluster is enough. */
  readonly leads: () => boolean;
  readonly requestTimeoutMs: number;
}

const checkMs = 60_000;
/** At this part of the quota the first warning is written, and another one with each further step. */
const firstWarning = 0.8;
const step = 0.05;

/** Warns before etcd's database is so large that etcd takes no writes any more. */
export class DatabaseSize {
  readonly #options: DatabaseSizeOptions;
  #timer: Timer | undefined;
  /** The part of the quota that is the next one to be warned of. */
  #warnAt = firstWarning;
  #refused = false;
  #bytes: number | undefined;

  constructor(options: DatabaseSizeOptions) {
    this.#options = options;
    this.#schedule();
  }

  /** As it was when it was looked at last; undefined on a server that does not lead. */
  get bytes(): number | undefined {
    return this.#bytes;
  }

  close(): void {
    this.#timer?.cancel();
  }

  #schedule(): void {
    this.#timer = this.#options.clock.after(checkMs, () => {
      this.#schedule();
      void this.#check();
    });
  }

  async #check(): Promise<void> {
    const { client, logger, quotaBytes, leads, requestTimeoutMs } = this.#options;
    if (!leads()) {
      this.#bytes = undefined;
      return;
    }
    try {
      const bytes = await client.databaseBytes(requestTimeoutMs);
      this.#bytes = bytes;
      const used = bytes / quotaBytes;
      if (used < firstWarning) {
        this.#warnAt = firstWarning;
      } else if (used >= this.#warnAt) {
        this.#warnAt = used + step;
        logger.warn(
          { bytes, quotaBytes, hint: "let etcd compact more often, defragment it, or raise both quotas" },
          "etcd's database is nearly as large as it may be; when it is, no lock is granted, renewed or released",
        );
      }
    } catch (error) {
      if (error instanceof EtcdRefusal && !this.#refused) {
        this.#refused = true;
        logger.warn(
          { why: error.message },
          "etcd does not tell this server the size of its database: watch it yourself",
        );
      }
      logger.debug({ err: error }, "etcd did not tell the size of its database");
    }
  }
}
