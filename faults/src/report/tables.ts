import { allFaults } from "../inject/catalogue.js";
import type { Verdict } from "./promises.js";
import { quantile } from "./statistics.js";
import type { FaultEffect, Summary } from "./summary.js";
import type { Table } from "./table.js";

/** One row for each kind of fault: how long the service was away, and what was lost. */
export function effectsTable({ effects }: Pick<Summary, "effects">): Table {
  const kinds = ["quiet", ...allFaults.map(({ kind }) => kind)];
  const heading = [
    "fault",
    "times",
    "away p50",
    "away max",
    "etcd away max",
    "holds lost",
    "places lost",
    "late tickets",
    "errors",
  ];
  const rows = kinds.flatMap((kind) => {
    const ofKind = effects.filter((effect) => effect.kind === kind);
    return ofKind.length === 0 ? [] : [row(kind, ofKind)];
  });
  return [heading, ...rows];
}

function row(kind: string, effects: readonly FaultEffect[]): string[] {
  const away = effects.map(({ locksMs }) => locksMs);
  const sum = (of: (effect: FaultEffect) => readonly string[]): string =>
    effects.reduce((total, effect) => total + of(effect).length, 0).toString();
  return [
    kind,
    effects.length.toString(),
    ms(quantile(away, 0.5)),
    ms(Math.max(...away)),
    ms(Math.max(...effects.map(({ putsMs }) => putsMs))),
    sum(({ lostHolds }) => lostHolds),
    sum(({ lostPlaces }) => lostPlaces),
    sum((effect) => effect.lateTickets),
    sum(({ errors }) => errors),
  ];
}

/** What each kind of fault that happened is. */
export function faultsTable({ effects }: Pick<Summary, "effects">): Table {
  const kinds = new Set(effects.map(({ kind }) => kind));
  return [
    ["fault", "what it is"],
    ...allFaults.filter(({ kind }) => kinds.has(kind)).map(({ kind, title }) => [kind, title]),
  ];
}

/** One row for each promise. */
export function verdictsTable(verdicts: readonly Verdict[]): Table {
  const rows = verdicts.map(({ promise, seen, kept }) => [promise, seen, kept ? "kept" : "broken"]);
  return [["promise", "seen", "verdict"], ...rows];
}

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}
