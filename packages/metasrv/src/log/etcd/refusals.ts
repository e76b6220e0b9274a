import type { Clock } from "@metasrv/wire";
import type { Logger } from "pino";
import type { EtcdRefusal } from "./rpc/etcd-refusal.js";

/** What refusals are kept with. */
export interface RefusalsOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly hosts: readonly string[];
}

/** For how long a refusal is taken to go on without another one, in milliseconds. */
const recentMs = 5_000;
/** How often the same is written to the log, in milliseconds. */
const repeatMs = 60_000;

/** Remembers whether etcd refuses this server now, and writes it to the log, but not at each attempt. */
export class Refusals {
  readonly #options: RefusalsOptions;
  #last: { readonly refusal: EtcdRefusal; readonly atMs: number } | undefined;
  #written: { readonly message: string; readonly atMs: number } | undefined;

  constructor(options: RefusalsOptions) {
    this.#options = options;
  }

  /** etcd has refused something. */
  noted(refusal: EtcdRefusal): void {
    const { clock, logger, hosts } = this.#options;
    const atMs = clock.now();
    const { message } = refusal;
    this.#last = { refusal, atMs };
    if (this.#written?.message !== message || atMs - this.#written.atMs >= repeatMs) {
      this.#written = { message, atMs };
      logger.error({ why: message, hosts }, "etcd refuses this server, or is not trusted by it; trying again");
    }
  }

  /** The refusal that goes on now, if one does. */
  current(): EtcdRefusal | undefined {
    return this.#last !== undefined && this.#options.clock.now() - this.#last.atMs < recentMs
      ? this.#last.refusal
      : undefined;
  }
}
