import { type LockName, readLockName } from "../model/ticket-ref.js";
import type { Right, Rule } from "./auth-config.js";

/**
 * What one principal may do with which names. Of the rules that speak of a right and match a name, the one of that very name
 * decides, else the longest prefix; of two that say different things of the same, the one that denies. What no rule allows is
 * denied.
 */
export class Rights {
  readonly #decisions: Readonly<Record<Right, Decisions>>;

  constructor(rules: readonly Rule[]) {
    const of = (right: Right) => new Decisions(right, rules);
    this.#decisions = { lock: of("lock"), inspect: of("inspect"), force: of("force"), admin: of("admin") };
  }

  permits(right: Right, name: LockName): boolean {
    return this.#decisions[right].permits(name);
  }

  /** Whether there can be a name with this beginning for which the right is allowed. */
  mayPermit(right: Right, beginning: LockName): boolean {
    return this.#decisions[right].mayPermit(beginning);
  }
}

/** What the rules say of one right. */
class Decisions {
  readonly #exact = new Map<string, boolean>();
  readonly #prefixes = new Map<string, boolean>();
  /** The lengths that prefixes have, the longest first. */
  readonly #lengths: readonly number[];

  constructor(right: Right, rules: readonly Rule[]) {
    for (const { prefix, exact, allow = [], deny = [] } of rules) {
      const isDenied = deny.includes(right);
      if (isDenied || allow.includes(right)) {
        const decisions = exact === undefined ? this.#prefixes : this.#exact;
        const name = checkedName(exact ?? prefix ?? "");
        decisions.set(name, !isDenied && decisions.get(name) !== false);
      }
    }
    this.#lengths = [...new Set([...this.#prefixes.keys()].map(({ length }) => length))].sort((a, b) => b - a);
  }

  permits(name: LockName): boolean {
    return this.#exact.get(name) ?? this.#byPrefix(name);
  }

  mayPermit(beginning: LockName): boolean {
    const allows = ([name, allowed]: readonly [string, boolean]) => allowed && name.startsWith(beginning);
    return this.#byPrefix(beginning) || [...this.#exact].some(allows) || [...this.#prefixes].some(allows);
  }

  #byPrefix(name: string): boolean {
    for (const length of this.#lengths) {
      const decision = length <= name.length ? this.#prefixes.get(name.slice(0, length)) : undefined;
      if (decision !== undefined) {
        return decision;
      }
    }
    return false;
  }
}

function checkedName(text: string): LockName {
  const name = readLockName(text);
  if (name === undefined) {
    throw new Error(`a rule is about ${JSON.stringify(text)}, which is no name`);
  }
  return name;
}
