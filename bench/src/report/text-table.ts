/** Rows of cells, the first of which is the heading. */
export type Table = readonly (readonly string[])[];

/** A table for a terminal: the first column to the left, the others to the right. */
export function textTable(table: Table): string {
  const widths = widthsOf(table);
  const line = (cells: readonly string[]): string => padded(cells, widths).join("  ");
  const [heading = [], ...rows] = table;
  return [line(heading), widths.map((width) => "-".repeat(width)).join("  "), ...rows.map(line)].join("\n");
}

/** The same table in Markdown, its columns padded as Prettier does. */
export function markdownTable(table: Table): string {
  const widths = widthsOf(table).map((width) => Math.max(width, 4));
  const [heading = [], ...rows] = table;
  const line = (cells: readonly string[]): string => `| ${padded(cells, widths).join(" | ")} |`;
  const rule = widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [line(heading), `| ${rule.join(" | ")} |`, ...rows.map(line)].join("\n");
}

function widthsOf(table: Table): readonly number[] {
  return (table[0] ?? []).map((_, column) => Math.max(...table.map((cells) => (cells[column] ?? "").length)));
}

function padded(cells: readonly string[], widths: readonly number[]): readonly string[] {
  return cells.map((cell, column) => {
    const width = widths[column] ?? 0;
    return column === 0 ? cell.padEnd(width) : cell.padStart(width);
  });
}
