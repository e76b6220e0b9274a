import type { Ask } from "../history/ask.js";
import { type Belief, beliefOf } from "../history/belief.js";
import { byLock } from "./by-lock.js";
import { at, type Violation } from "./violation.js";

/**
 * Checks that no two clients believe at the same time that they hold one lock, and that tokens rise in the order of
 * grants.
 */
export function checkHolders(asks: readonly Ask[]): Violation[] {
  return [...byLock(asks)].flatMap(([lock, asksOfLock]) => {
    const beliefs = asksOfLock
      .map(beliefOf)
      .filter((belief) => belief !== undefined)
      .sort((a, b) => a.fromUs - b.fromUs);
    return [...overlaps(lock, beliefs), ...disorder(lock, beliefs)];
  });
}

function overlaps(lock: string, beliefs: readonly Belief[]): Violation[] {
  const violations: Violation[] = [];
  let longest: Belief | undefined;
  for (const belief of beliefs) {
    if (longest !== undefined && belief.fromUs < longest.toUs) {
      violations.push({
        rule: "one holder",
        what: `${describe(longest)} and ${describe(belief)} both believed to hold ${lock}`,
      });
    }
    if (longest === undefined || belief.toUs > longest.toUs) {
      longest = belief;
    }
  }
  return violations;
}

function disorder(lock: string, beliefs: readonly Belief[]): Violation[] {
  const violations: Violation[] = [];
  let highest: Belief | undefined;
  for (const belief of beliefs) {
    if (highest !== undefined && belief.token <= highest.token) {
      violations.push({
        rule: "tokens rise",
        what: `${lock} was granted to ${describe(belief)} after ${describe(highest)}`,
      });
    } else {
      highest = belief;
    }
  }
  return violations;
}

function describe({ ask, token, fromUs, toUs }: Belief): string {
  return `${ask.id} (token ${token}, ${at(fromUs)} to ${Number.isFinite(toUs) ? at(toUs) : "the end"})`;
}
