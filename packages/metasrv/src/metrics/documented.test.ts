import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "@jest/globals";
import { defineMetrics, type Definition } from "./definitions.js";
import { Metrics } from "./metrics.js";

const root = new URL("../../../../", import.meta.url);

const definitions: readonly Definition[] = defineMetrics({
  metrics: new Metrics(),
  tally: () => ({ locks: 0, waiting: 0, oldestWaitMs: 0 }),
  membershipLeftMs: () => 0,
  leads: () => false,
  logFigures: () => ({}),
  sessions: () => 0,
  eventLoopDelayMs: () => 0,
  version: "",
});

test("docs/metrics.md has a row for each metric, with its type and labels, and no other", () => {
  const text = readFileSync(new URL("docs/metrics.md", root), "utf8");
  const rows = [...text.matchAll(/^\| `(metasrv_\w+)` +\| (\w+) +\| ([^|]*?) +\|/gmu)];
  const documented = rows.map(([, name, type, labels = ""]) => ({
    name,
    type,
    labels: labels.split(", ").filter(Boolean),
  }));
  expect(documented).toEqual(definitions.map(({ name, type, labels }) => ({ name, type, labels })));
});

test("alerts and dashboard ask only for metrics that there are", () => {
  const known = new Set(
    definitions.flatMap(({ name, type }) =>
      type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  );
  const files = ["prometheus", "grafana"].flatMap((folder) =>
    readdirSync(new URL(`ops/${folder}/`, root)).map((file) => new URL(`ops/${folder}/${file}`, root)),
  );
  // Of the rules, only what is asked for: the texts name metrics by what they are.
  const asked = files.flatMap((file) =>
    [...readFileSync(file, "utf8").matchAll(/"?(?:expr|series)"?:[^\n]*(?:\n {12,}[^\n]*)*/gu)].flatMap(([text]) => [
      ...text.matchAll(/metasrv_[a-z_]+/gu),
    ]),
  );
  expect(asked.length).toBeGreaterThan(50);
  expect(asked.map(([name]) => name).filter((name) => !known.has(name))).toEqual([]);
});
