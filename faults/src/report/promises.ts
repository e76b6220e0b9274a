import { quantile } from "./statistics.js";
import type { FaultEffect, Summary } from "./summary.js";

/** A promise for a kind of fault, and what was seen of it. */
export interface Verdict {
  readonly promise: string;
  readonly seen: string;
  readonly kept: boolean;
}

/** After this much silence a session is given up, in milliseconds: metasrv's default. */
const sessionTimeoutMs = 6_000;

interface Promised {
  readonly kind: string;
  readonly promise: string;
  readonly judge: (effects: readonly FaultEffect[]) => Pick<Verdict, "seen" | "kept">;
}

const promised: readonly Promised[] = [
  {
    kind: "metasrv-kill",
    promise: "a node is killed: its clients acquire again within 1 s (p99)",
    judge: (effects) => within(effects, 1_000),
  },
  {
    kind: "metasrv-kill",
    promise: "and no lock is lost that is kept alive",
    judge: (effects) => none(effects, "lostHolds"),
  },
  { kind: "metasrv-kill", promise: "and waits keep their place", judge: (effects) => none(effects, "lostPlaces") },
  {
    kind: "metasrv-pause",
    promise: "a node pauses: its clients acquire again within 7 s (the session timeout and 1 s)",
    judge: (effects) => within(effects, sessionTimeoutMs + 1_000),
  },
  {
    kind: "metasrv-pause",
    promise: "and no lock is lost that is kept alive",
    judge: (effects) => none(effects, "lostHolds"),
  },
  {
    kind: "etcd-leader-kill",
    promise: "etcd's leader is killed: locks are back within 1.5 times of what a plain put takes",
    judge: (effects) => {
      const factors = effects.map(({ locksMs, putsMs }) => locksMs / putsMs);
      const worst = Math.max(...factors);
      return { seen: `${worst.toFixed(2)} times at worst, of ${effects.length}`, kept: worst <= 1.5 };
    },
  },
  {
    kind: "etcd-leader-kill",
    promise: "and no lock is lost that is kept alive",
    judge: (effects) => none(effects, "lostHolds"),
  },
  {
    kind: "rolling-restart",
    promise: "all nodes are restarted in turn: no lock is lost",
    judge: (effects) => none(effects, "lostHolds"),
  },
  { kind: "rolling-restart", promise: "and callers see no error", judge: (effects) => none(effects, "errors") },
];

/** The promises that a campaign has tested. */
export function judge({ effects }: Pick<Summary, "effects">): Verdict[] {
  return promised.flatMap(({ kind, promise, judge: verdict }) => {
    const ofKind = effects.filter((effect) => effect.kind === kind);
    return ofKind.length === 0 ? [] : [{ promise, ...verdict(ofKind) }];
  });
}

function within(effects: readonly FaultEffect[], ms: number): Pick<Verdict, "seen" | "kept"> {
  const p99 = quantile(
    effects.map(({ locksMs }) => locksMs),
    0.99,
  );
  return { seen: `${Math.round(p99)} ms, of ${effects.length}`, kept: p99 <= ms };
}

function none(
  effects: readonly FaultEffect[],
  what: "lostHolds" | "lostPlaces" | "errors",
): Pick<Verdict, "seen" | "kept"> {
  const count = effects.reduce((sum, effect) => sum + effect[what].length, 0);
  return { seen: `${count}, of ${effects.length}`, kept: count === 0 };
}
