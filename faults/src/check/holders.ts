import type { Ask } from "../history/ask.js";
import { type PartBelief, partsOf } from "../history/belief.js";
import { byLock } from "./by-lock.js";
import { at, type Violation } from "./violation.js";

/**
 * Checks that what clients believe to hold of one lock at the same time leaves room for each other, and that no grant has a
 * token below what a resource may have been shown before, or one that was given out before.
 */
export function checkHolders(asks: readonly Ask[]): Violation[] {
  return [...byLock(asks.flatMap(partsOf))].flatMap(([lock, parts]) => {
    const inOrder = parts.sort((a, b) => a.fromUs - b.fromUs);
    return [...overlaps(lock, inOrder), ...disorder(lock, inOrder)];
  });
}

function overlaps(lock: string, beliefs: readonly PartBelief[]): Violation[] {
  const violations: Violation[] = [];
  let present: PartBelief[] = [];
  for (const belief of beliefs) {
    present = [...present.filter(({ toUs }) => toUs > belief.fromUs), belief];
    const permits = present.reduce((sum, one) => sum + one.permits, 0);
    if (permits > Math.min(...present.map(({ limit }) => limit))) {
      violations.push({
        rule: "holders leave room",
        what: `${present.map(describe).join(" and ")} believed to hold ${lock}, ${permits} permits of it`,
      });
    }
  }
  return violations;
}

function disorder(lock: string, beliefs: readonly PartBelief[]): Violation[] {
  const violations: Violation[] = [];
  const tokens = new Set<bigint>();
  let highest: { readonly floor: bigint; readonly of: PartBelief } | undefined;
  for (const belief of beliefs.filter(({ ask, fromUs }) => fromUs === ask.grantedUs)) {
    const { token, floor } = belief;
    if ((highest !== undefined && token < highest.floor) || tokens.has(token)) {
      const after = highest === undefined ? "another" : `${describe(highest.of)} with floor ${highest.floor}`;
      violations.push({ rule: "tokens rise", what: `${lock} was granted to ${describe(belief)} after ${after}` });
    }
    tokens.add(token);
    if (highest === undefined || floor > highest.floor) {
      highest = { floor, of: belief };
    }
  }
  return violations;
}

function describe({ ask, token, fromUs, toUs }: PartBelief): string {
  return `${ask.id} (token ${token}, ${at(fromUs)} to ${Number.isFinite(toUs) ? at(toUs) : "the end"})`;
}
