// Names, owners and messages come from strangers, and terminals obey what they are sent.
const harmful = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** The text with every character that could control a terminal, or reorder what it shows, written as an escape. */
export function printable(text: string): string {
  return text.replace(harmful, (found) => `\\u{${(found.codePointAt(0) ?? 0).toString(16)}}`);
}

/** A name as people are shown it: its text, or its bytes in hexadecimal. */
export function shownName(name: string | Uint8Array): string {
  return typeof name === "string" ? printable(name) : `0x${Buffer.from(name).toString("hex")}`;
}

/**
 * One line of JSON without characters that could control a terminal. Whole numbers beyond 2^53 become texts, bytes base64,
 * and what has no limit null.
 */
export function jsonLine(value: object): string {
  const text = JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part === "bigint") {
      return String(part);
    }
    return part instanceof Uint8Array ? Buffer.from(part).toString("base64") : part;
  });
  return `${text.replace(harmful, (found) => escapedUnits(found))}\n`;
}

/** JSON names characters by their units of UTF-16. */
function escapedUnits(character: string): string {
  return Array.from({ length: character.length }, (_, at) => {
    return `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`;
  }).join("");
}

/** Rows as lines, their columns aligned. Cells must be {@link printable}. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = heads.map((head, at) => Math.max(head.length, ...rows.map((row) => width(row[at] ?? ""))));
  return [heads, ...rows].map((row) =>
    row
      .map((cell, at) => cell + " ".repeat(at === row.length - 1 ? 0 : Math.max(0, (widths[at] ?? 0) - width(cell))))
      .join("  ")
      .trimEnd(),
  );
}

function width(cell: string): number {
  return Array.from(cell).length;
}
