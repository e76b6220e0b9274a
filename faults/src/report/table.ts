/** Rows of cells, the first of which is the heading. */
export type Table = readonly (readonly string[])[];

/** A table in Markdown, its columns padded as Prettier does: the first column to the left, the others to the right. */
export function markdownTable(table: Table): string {
  const [heading = [], ...rows] = table;
  const widths = heading.map((_, column) => Math.max(4, ...table.map((cells) => (cells[column] ?? "").length)));
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => pad(cells[column] ?? "", width, column)).join(" | ")} |`;
  const rule = widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [line(heading), `| ${rule.join(" | ")} |`, ...rows.map(line)].join("\n");
}

function pad(cell: string, width: number, column: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}
