import type { Logger } from "pino";
import { LockError } from "../model/lock-errors.js";
import type { StoredMember } from "../model/member.js";
import type { Standing } from "./standing.js";

export interface ClusterViewOptions {
  readonly standing: Standing;
  readonly logger: Logger;
}

/** The members as this node sees them, and their changes. */
export class ClusterView {
  readonly #options: ClusterViewOptions;
  readonly #watchers = new Set<() => void>();
  /** Oldest first; absent until the log was read. */
  #members: readonly StoredMember[] | undefined;
  #ids: ReadonlySet<string> = new Set();
  #led = false;

  constructor(options: ClusterViewOptions) {
    this.#options = options;
  }

  /** Whether this node leads: it is the oldest live member. */
  get leads(): boolean {
    const { memberId } = this.#options.standing;
    return memberId !== undefined && this.#members?.[0]?.id === memberId;
  }

  /** Whether there is another member. */
  get hasPeers(): boolean {
    const { memberId } = this.#options.standing;
    return this.#members?.some(({ id }) => id !== memberId) ?? false;
  }

  /** Whether this member is there now. */
  has(memberId: string): boolean {
    return this.#ids.has(memberId);
  }

  /**
   * All members, oldest first: the first one leads.
   *
   * @throws LockError `store-unavailable` when the store was not read yet
   */
  members(): readonly StoredMember[] {
    if (this.#members === undefined) {
      throw new LockError(
        "store-unavailable",
        "the members are not known yet, because this node has not read the store; try again, or ask another node",
      );
    }
    return this.#members;
  }

  /** Replaces the members. They are given oldest first. */
  update(members: readonly StoredMember[]): void {
    this.#members = members;
    this.#ids = new Set(members.map(({ id }) => id));
    this.changed();
  }

  /**
   * Calls back whenever the members have changed, but not at once.
   *
   * @param changed - must not throw
   * @returns a function that ends the calls
   */
  watch(changed: () => void): () => void {
    const watcher = () => {
      changed();
    };
    this.#watchers.add(watcher);
    return () => {
      this.#watchers.delete(watcher);
    };
  }

  /** Must be called when the members have changed, or which of them this node is. */
  changed(): void {
    const { standing, logger } = this.#options;
    if (this.leads !== this.#led) {
      this.#led = this.leads;
      const { memberId } = standing;
      if (this.#led) {
        logger.info({ memberId }, "leads now");
      } else {
        logger.info({ memberId }, "does not lead any more");
      }
    }
    for (const watcher of this.#watchers) {
      watcher();
    }
  }
}
