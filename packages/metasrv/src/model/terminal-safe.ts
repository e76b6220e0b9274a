// Owners, reasons and messages come from strangers, and terminals obey what they are sent.
const harmful = /(?!\n)[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * Lines of text, or of JSON, in which each character that could control a terminal, or reorder what it shows, is written as an
 * escape of JSON, such as `\u009b`. `JSON.stringify` does so only below U+0020.
 */
export function terminalSafe(lines: string): string {
  return lines.replace(harmful, (found) =>
    Array.from({ length: found.length }, (_, at) => `\\u${found.charCodeAt(at).toString(16).padStart(4, "0")}`).join(
      "",
    ),
  );
}
