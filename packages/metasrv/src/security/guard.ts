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

/** What the audit says of a release by force, besides who was allowed to do it. */
export interface ForcedNote {
  readonly name: LockName;
  readonly token: bigint;
  /** What the request called its owner; undefined if there was no such request. */
  readonly owner: string | undefined;
  /** Who did it, as the caller says; may be empty. */
  readonly actor: string;
  readonly reason: string;
  readonly outcome: string;
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
  forced({ name, token, owner, actor, reason, outcome }: ForcedNote): void {
    this.#audit?.write("force", {
      ...this.#who("force", name),
      token: String(token),
      owner,
      actor: actor || undefined,
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
