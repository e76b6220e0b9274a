import { type LockName, lockNameBytes, showLockName } from "../model/ticket-ref.js";
import { Family } from "./family.js";

/** How many families are told apart. A label for every lock would cost the one who scrapes a series for each. */
export const mostFamilies = 100;

/** Bytes of a name that can be a family's. */
const longestFamily = 64;

/** The family of all locks that have none of their own. */
export const otherFamily = "other";

/** A pattern of names, and the family that it makes. */
interface Pattern {
  readonly matches: (text: string) => boolean;
  readonly family: Family;
}

/**
 * Which family a lock belongs to: the first configured pattern that its name matches, else the part of its name before the
 * first `/`, else, once there are {@link mostFamilies}, `other`. A family is never forgotten: its counters would begin anew.
 */
export class Families {
  readonly #patterns: readonly Pattern[];
  /** By the beginnings of names. */
  readonly #byPrefix = new Map<string, Family>();
  readonly #all: Family[] = [];
  readonly other = new Family(otherFamily);
  /** Of the last name, since requests for one lock often come one after the other. */
  #lastName: LockName | undefined;
  #lastFamily = this.other;

  /** @param patterns - names in which each `*` stands for any text; at most {@link mostFamilies} */
  constructor(patterns: readonly string[] = []) {
    this.#patterns = patterns.map((pattern) => ({ matches: matcher(pattern), family: this.#add(pattern) }));
  }

  /** All that there were, and `other`. */
  *all(): Generator<Family> {
    yield* this.#all;
    yield this.other;
  }

  of(name: LockName): Family {
    if (name !== this.#lastName) {
      this.#lastFamily = this.#find(name);
      this.#lastName = name;
    }
    return this.#lastFamily;
  }

  #find(name: LockName): Family {
    if (this.#patterns.length > 0) {
      const text = lockNameBytes(name).toString("utf8");
      const found = this.#patterns.find(({ matches }) => matches(text));
      if (found !== undefined) {
        return found.family;
      }
    }
    const end = name.indexOf("/");
    const prefix = end === -1 ? name : name.slice(0, end);
    const known = this.#byPrefix.get(prefix);
    if (known !== undefined) {
      return known;
    }
    const label = showLockName(prefix as LockName);
    if (this.#all.length >= mostFamilies || prefix.length > longestFamily || label === otherFamily) {
      return this.other;
    }
    // A part of a long name would keep all of it in memory.
    const family = this.#all.find((one) => one.label === label) ?? this.#add(label);
    this.#byPrefix.set(Buffer.from(prefix, "latin1").toString("latin1"), family);
    return family;
  }

  #add(label: string): Family {
    const family = new Family(label);
    this.#all.push(family);
    return family;
  }
}

/**
 * Not by a regular expression: it would try all places of all `*`, for half a minute with four of them, and names come from
 * strangers. The first place of each part is as good as any other.
 */
function matcher(pattern: string): (text: string) => boolean {
  const [start = "", ...parts] = pattern.split("*");
  const end = parts.pop();
  if (end === undefined) {
    return (text) => text === start;
  }
  return (text) => {
    let at = start.length;
    if (!text.startsWith(start)) {
      return false;
    }
    for (const part of parts) {
      const found = text.indexOf(part, at);
      if (found === -1) {
        return false;
      }
      at = found + part.length;
    }
    return text.length - at >= end.length && text.endsWith(end);
  };
}
