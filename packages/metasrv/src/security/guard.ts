import type { Origin } from "../api/caller.js";
import type { LockError } from "../model/lock-errors.js";
import type { LockName } from "../model/ticket-ref.js";
import type { Audit } from "./audit.js";
import type { Right } from "./auth-config.js";
import { addressOf } from "./identification.js";
import type { Principal, ProvenIdentity } from "./principal.js";
import { denied, noLongerKnown, shortName } from "./refusals.js";
import type { Rights } from "./rights.js";

export interface GuardOptions {
  /** Absent: nothing is written down. */
  readonly audit: Audit | undefined;
  /** Told the reason of each refusal. */
  readonly onDenied?: ((reason: string) => void) | undefined;
}

/** Decides what one caller may do. Each decision is by what is configured at that moment. */
export class Guard {
  readonly #identity: ProvenIdentity;
  readonly #origin: Origin;
  readonly #audit: Audit | undefined;
  readonly #onDenied: ((reason: string) => void) | undefined;

  constructor(identity: ProvenIdentity, origin: Origin, { audit, onDenied }: GuardOptions) {
    this.#identity = identity;
    this.#origin = origin;
    this.#audit = audit;
    this.#onDenied = onDenied;
  }

  get principal(): Principal {
    return this.#identity.owner;
  }

  permits(right: Right, name: LockName): boolean {
    return this.#identity.isValid && this.#identity.owner.rights.permits(right, name);
  }

  /** Whether all of it is permitted that was so by these rights. It is looked at only if they have changed. */
  permitsStill(before: Rights, right: Right, names: readonly LockName[]): boolean {
    return (
      (this.#identity.isValid && this.principal.rights === before) || names.every((name) => this.permits(right, name))
    );
  }

  /** @throws LockError `permission-denied`, `unauthenticated` */
  require(right: Right, name: LockName): void {
    if (!this.permits(right, name)) {
      throw this.#refused(right, name);
    }
  }

  /** @throws as {@link require}, of the first name that is not permitted */
  requireAll(right: Right, names: readonly LockName[]): void {
    for (const name of names) {
      this.require(right, name);
    }
  }

  /** What {@link requireAll} would throw; only if not all is permitted. */
  refusal(right: Right, names: readonly LockName[]): LockError {
    return this.#refused(right, names.find((name) => !this.permits(right, name)) ?? ("" as LockName));
  }

  /** @throws as {@link require}, when there can be no name with this beginning that is permitted */
  requireSome(right: Right, beginning: LockName): void {
    if (!this.#identity.isValid || !this.principal.rights.mayPermit(right, beginning)) {
      throw this.#refused(right, beginning);
    }
  }

  /** Writes down what came of taking a lock by force. */
  forced(name: LockName, token: bigint, reason: string, outcome: string): void {
    this.#audit?.write("force", {
      ...this.#who("force", name),
      token: String(token),
      reason,
      outcome,
    });
  }

  #refused(right: Right, name: LockName): LockError {
    const { name: principal } = this.principal;
    this.#audit?.denied(principal, this.#who(right, name));
    const error = this.#identity.isValid ? denied(principal, right, name) : noLongerKnown(principal);
    this.#onDenied?.(error.reason);
    return error;
  }

  #who(right: Right, name: LockName) {
    const { method, connection } = this.#origin;
    return { principal: this.principal.name, peer: addressOf(connection), method, right, lock: shortName(name) };
  }
}
