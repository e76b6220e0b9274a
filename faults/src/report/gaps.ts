import type { Ask } from "../history/ask.js";
import type { FaultSpan, History } from "../history/history.js";
import { probePrefix } from "../load/roles.js";

/** The longest times without a success, in milliseconds. */
export interface Gaps {
  /** Of the worst client. */
  readonly locksMs: number;
  /** Of the store itself, for a plain put. */
  readonly putsMs: number;
}

/** How long the service and etcd were away during a fault. A client that the fault acted on does not count. */
export function gapsDuring(span: FaultSpan, history: Pick<History, "asks" | "putsUs" | "endUs">): Gaps {
  const target = `${probePrefix}${span.target}-`;
  const gapsUs = [...probesOf(history)].flatMap(([lock, grantsUs]) =>
    lock.startsWith(target) ? [] : [longestGapUs(span, grantsUs)],
  );
  return { locksMs: Math.max(0, ...gapsUs) / 1000, putsMs: longestGapUs(span, history.putsUs) / 1000 };
}

/**
 * The grants of each probe, in order. If a probe could go on, the end of the load counts too, so that a wait at the end
 * shows.
 */
function probesOf({ asks, endUs }: Pick<History, "asks" | "endUs">): Map<string, number[]> {
  const probes = new Map<string, { grantsUs: number[]; last: Ask }>();
  for (const ask of asks) {
    if (!ask.lock.startsWith(probePrefix)) {
      continue;
    }
    const probe = probes.get(ask.lock) ?? { grantsUs: [], last: ask };
    probes.set(ask.lock, probe);
    probe.last = ask;
    if (ask.grantedUs !== undefined) {
      probe.grantsUs.push(ask.grantedUs);
    }
  }
  return new Map(
    [...probes].map(([lock, { grantsUs, last }]) => [
      lock,
      last.diedUs === undefined ? [...grantsUs, endUs] : grantsUs,
    ]),
  );
}

/** The longest time within the span between two successes. What is beyond the span belongs to another fault. */
function longestGapUs({ beginUs, endUs }: FaultSpan, timesUs: readonly number[]): number {
  let longest = 0;
  let before: number | undefined;
  for (const time of timesUs) {
    if (before !== undefined) {
      longest = Math.max(longest, Math.min(time, endUs) - Math.max(before, beginUs));
    }
    before = time;
  }
  return longest;
}
