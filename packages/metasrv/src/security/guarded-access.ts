import type { Clock } from "@metasrv/wire";
import type { Access, Permitted } from "../api/access.js";
import type { Origin } from "../api/caller.js";
import type { Operated } from "../api/locks.js";
import type { Limits } from "../model/limits.js";
import { LockError } from "../model/lock-errors.js";
import type { LockName } from "../model/ticket-ref.js";
import type { Audit } from "./audit.js";
import type { AuthConfig } from "./auth-config.js";
import { Directory } from "./directory.js";
import { Guard } from "./guard.js";
import { GuardedLocks, type UnguardedLocks } from "./guarded-locks.js";
import { GuardedOperated } from "./guarded-operated.js";
import { addressOf, Identification } from "./identification.js";
import type { ProvenIdentity } from "./principal.js";
import type { QuotasConfig } from "./quotas-config.js";

export interface GuardedAccessOptions {
  readonly locks: UnguardedLocks;
  readonly operated: Operated;
  readonly auth: AuthConfig;
  readonly quotas: QuotasConfig;
  readonly limits: Pick<Limits, "defaultTtlMs">;
  readonly clock: Clock;
  /** Absent: nothing is written down. */
  readonly audit: Audit | undefined;
  /** Told the reason of each refusal. */
  readonly onDenied?: ((reason: string) => void) | undefined;
  /** Whether tokens are taken that came over a network without TLS. */
  readonly plainTokens: boolean;
}

/** Lets each caller do what its principal may do. */
export class GuardedAccess implements Access {
  readonly #options: GuardedAccessOptions;
  readonly #directory: Directory;
  readonly #identification: Identification;

  constructor(options: GuardedAccessOptions) {
    const { auth, quotas, clock, plainTokens } = options;
    this.#options = options;
    this.#directory = new Directory(auth, quotas, clock);
    this.#identification = new Identification(this.#directory, plainTokens);
  }

  of(origin: Origin): Permitted {
    return new PermittedTo(this.#identify(origin), origin, this.#options);
  }

  /** @throws LockError `unauthenticated`, `permission-denied` when whoever asks may not see the server as a whole */
  requireAdmin(origin: Origin): void {
    new Guard(this.#identify(origin), origin, this.#options).require("admin", "" as LockName);
  }

  /** From now on, these principals, rights and quotas count, for requests that have come before, too. */
  replace(auth: AuthConfig, quotas: QuotasConfig): void {
    this.#directory.replace(auth, quotas);
  }

  #identify(origin: Origin): ProvenIdentity {
    try {
      return this.#identification.identify(origin);
    } catch (error) {
      if (error instanceof LockError && error.reason === "unauthenticated") {
        const { method, connection } = origin;
        this.#options.onDenied?.(error.reason);
        this.#options.audit?.denied("", { peer: addressOf(connection), method });
      }
      throw error;
    }
  }
}

class PermittedTo implements Permitted {
  readonly identity: ProvenIdentity;
  readonly locks: GuardedLocks;
  readonly #guard: Guard;
  readonly #options: GuardedAccessOptions;

  constructor(identity: ProvenIdentity, origin: Origin, options: GuardedAccessOptions) {
    this.identity = identity;
    this.#options = options;
    this.#guard = new Guard(identity, origin, options);
    this.locks = new GuardedLocks(options.locks, this.#guard, options.limits);
  }

  get operated(): Operated {
    return new GuardedOperated(this.#options.operated, this.#guard);
  }
}
