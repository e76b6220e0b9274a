import type { Figure } from "../measure/figure.js";
import { parts, type Row } from "../measure/sample.js";
import { contenders } from "../peers/contenders.js";
import { orDash, threeDigits } from "./numbers.js";
import type { Results } from "./results.js";
import type { Verdict } from "./targets.js";
import type { Table } from "./text-table.js";

/** The rows of a workload. They are compared with the first row. */
export function rowsTable(rows: readonly Row[], results: Results): Table {
  const [first] = rows;
  const compared = rows.length > 1 && rows.every(({ workload }) => workload === first?.workload);
  const heading = [compared ? "" : "workload", "locks/s", "p50 ms", "p99 ms"];
  const shown = parts.filter((part) => part !== "follower" || rows.some(({ cpuUs }) => cpuUs.follower !== undefined));
  heading.push("CPU µs a lock: client", ...shown.slice(1), ...(compared ? ["speed of the first ÷ this"] : []));
  const hot = rows.some(({ handoverShare }) => handoverShare !== undefined);
  if (hot) {
    heading.push("changed hands");
  }
  const asked = rows.some(({ leastShare }) => leastShare !== undefined);
  if (asked) {
    heading.push("least served");
  }
  const failures = rows.some(({ failed }) => failed > 0);
  if (failures) {
    heading.push("failed");
  }
  return [
    heading,
    ...rows.map((row) => [
      compared ? labelOf(row.contender) : row.workload,
      row.paced === true ? "–" : threeDigits(row.perSecond),
      orDash(row.p50Ms),
      orDash(row.p99Ms),
      ...shown.map((part) => orDash(row.cpuUs[part])),
      ...(compared ? [orDash(results.speedRatio(row.workload, first?.contender ?? "", row.contender))] : []),
      ...(hot ? [row.handoverShare === undefined ? "–" : `${(row.handoverShare * 100).toFixed(0)} %`] : []),
      ...(asked ? [orDash(row.leastShare)] : []),
      ...(failures ? [String(row.failed)] : []),
    ]),
  ];
}

/** Figures that are not rows of a workload. */
export function figuresTable(figures: readonly Figure[]): Table {
  return [
    ["", "value", "unit", "note"],
    ...figures.map(({ label, value, unit, note = "" }) => [label, threeDigits(value), unit, note]),
  ];
}

/** The targets, and whether they are met. */
export function verdictsTable(verdicts: readonly Verdict[]): Table {
  return [
    ["what must hold", "measured", "target", "aim", "unit", "outcome"],
    ...verdicts.map(({ text, unit, better, must, aim, measured, outcome }) => {
      const sign = better === "more" ? "≥" : "≤";
      return [text, orDash(measured), `${sign} ${must}`, `${sign} ${aim}`, unit, outcome];
    }),
  ];
}

/** What a contender is called. */
export function labelOf(contender: string): string {
  return contender in contenders ? contenders[contender as keyof typeof contenders].label : contender;
}
