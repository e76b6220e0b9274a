import type { Row } from "../measure/sample.js";
import { threeDigits } from "./numbers.js";
import type { Results } from "./results.js";
import { labelOf } from "./tables.js";

const charted = [
  { workload: "free-64", title: "Free locks, 64 in flight: locks and unlocks a second" },
  { workload: "free-512", title: "Free locks, 512 in flight: locks and unlocks a second" },
  { workload: "hot-64", title: "One hot lock, 64 clients: handovers a second" },
];

const width = 860;
const labelWidth = 250;
const barHeight = 20;
const barPitch = 27;
const titleHeight = 40;
const colors = { ours: "#0b7285", peer: "#868e96" } as const;

/** A bar chart of locks a second, as SVG. Floors are left out, because they are not locks. */
export function chart(results: Results): string {
  let y = 12;
  const parts: string[] = [];
  for (const { workload, title } of charted) {
    const rows = results.rows
      .filter((row) => row.workload === workload && !labelOf(row.contender).startsWith("floor"))
      .toSorted((a, b) => b.perSecond - a.perSecond);
    if (rows.length === 0) {
      continue;
    }
    parts.push(`<text x="12" y="${y + 20}" font-size="15" font-weight="600">${escape(title)}</text>`);
    y += titleHeight;
    const most = Math.max(...rows.map(({ perSecond }) => perSecond));
    for (const row of rows) {
      parts.push(bar(row, y, most));
      y += barPitch;
    }
    y += 14;
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" role="img"`,
    `  aria-label="Locks a second of metasrv and its peers" font-family="system-ui, sans-serif" font-size="13" fill="#212529">`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

function bar({ contender, perSecond }: Row, y: number, most: number): string {
  const length = Math.max(1, Math.round(((width - labelWidth - 90) * perSecond) / most));
  const middle = y + barHeight / 2 + 5;
  const color = contender.startsWith("metasrv") ? colors.ours : colors.peer;
  return [
    `<text x="${labelWidth - 10}" y="${middle}" text-anchor="end">${escape(labelOf(contender))}</text>`,
    `<rect x="${labelWidth}" y="${y}" width="${length}" height="${barHeight}" rx="2" fill="${color}"/>`,
    `<text x="${labelWidth + length + 8}" y="${middle}">${threeDigits(perSecond)}</text>`,
  ].join("\n");
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
