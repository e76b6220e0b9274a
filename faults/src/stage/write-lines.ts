import { writeFile } from "node:fs/promises";

/** Writes one JSON object a line, bigints as texts. */
export async function writeLines(path: string, items: readonly object[]): Promise<void> {
  const text = (_: string, value: unknown): unknown => (typeof value === "bigint" ? value.toString() : value);
  await writeFile(path, items.map((item) => `${JSON.stringify(item, text)}\n`).join(""));
}
