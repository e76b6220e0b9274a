import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import prettier from "prettier";
import { type CampaignReport, reliabilityDocument } from "./document.js";

const root = resolve(fileURLToPath(new URL("../../..", import.meta.url)));

/** Writes everything about a campaign as JSON; resolves with the path. */
export async function writeResults(report: CampaignReport): Promise<string> {
  const folder = join(root, "faults", "results");
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${new Date().toISOString().replace(/[:.]/gu, "-")}.json`);
  await writeFile(path, `${JSON.stringify(report, undefined, 2)}\n`);
  return path;
}

/** Writes the page about it; resolves with the path. */
export async function writeDocument(report: CampaignReport): Promise<string> {
  const path = join(root, "docs", "reliability.md");
  const options = await prettier.resolveConfig(path);
  await writeFile(path, await prettier.format(reliabilityDocument(report), { ...options, filepath: path }));
  return path;
}
