import { beliefOf } from "../history/belief.js";
import type { History } from "../history/history.js";
import { at, type Violation } from "./violation.js";

/**
 * Checks that the resource took no write with a token below the floor of an earlier one, and refused no write of a client that
 * held the lock.
 */
export function checkResource({ asks, resource }: Pick<History, "asks" | "resource">): Violation[] {
  const violations: Violation[] = [];
  const asksById = new Map(asks.map((ask) => [ask.id, ask]));
  const highest = new Map<string, bigint>();
  for (const { kind, atUs, ask: id, lock, token: text, floor: floorText } of resource) {
    const token = BigInt(text);
    const before = highest.get(lock) ?? 0n;
    if (kind === "written") {
      if (token < before) {
        const what = `a write of ${id} to ${lock} with token ${token} was taken at ${at(atUs)}, after one with floor ${before}`;
        violations.push({ rule: "stale writes are refused", what });
      }
      const floor = BigInt(floorText);
      highest.set(lock, floor > before ? floor : before);
    } else {
      const ask = asksById.get(id);
      const belief = ask === undefined ? undefined : beliefOf(ask);
      const untilUs = Math.min(belief?.toUs ?? 0, ask?.forcedUs ?? Infinity);
      if (belief !== undefined && belief.fromUs <= atUs && atUs < untilUs) {
        const what = `a write of ${id} to ${lock} with token ${token} was refused at ${at(atUs)}, while it believed to hold`;
        violations.push({ rule: "holders' writes are taken", what });
      }
    }
  }
  return violations;
}
