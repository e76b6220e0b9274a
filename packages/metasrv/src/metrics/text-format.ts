import type { Definition, LabelledBuckets, Labels } from "./definitions.js";

/** The text formats of Prometheus: its own, and OpenMetrics, which differs in how counters and bounds are written. */
export type TextFormat = "prometheus" | "openmetrics";

/** The media type of each format, as an answer names it. */
export const mediaTypes: Readonly<Record<TextFormat, string>> = {
  prometheus: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/** The text of a metric, in pieces: what it is, and then each value or each histogram. */
export function* metricText(definition: Definition, format: TextFormat): Generator<string> {
  const { name, type, help } = definition;
  const family = format === "openmetrics" ? name.replace(/_total$/, "") : name;
  yield `# HELP ${family} ${help}\n# TYPE ${family} ${type}\n`;
  if (definition.type === "histogram") {
    for (const one of definition.read()) {
      yield histogramText(name, one, format);
    }
  } else {
    for (const { labels, value } of definition.read()) {
      yield `${name}${inBraces(labelsText(labels))} ${numberText(value)}\n`;
    }
  }
}

function histogramText(name: string, { labels, buckets }: LabelledBuckets, format: TextFormat): string {
  const shown = labelsText(labels);
  const head = `${name}_bucket{${shown}${shown === "" ? "" : ","}le="`;
  let text = "";
  let count = 0;
  buckets.counts.forEach((more, at) => {
    count += more;
    text += `${head}${boundText(buckets.bounds[at] ?? Infinity, format)}"} ${count}\n`;
  });
  const braces = inBraces(shown);
  return `${text}${name}_sum${braces} ${numberText(buckets.sum)}\n${name}_count${braces} ${count}\n`;
}

function labelsText(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${value.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n")}"`)
    .join(",");
}

function inBraces(labels: string): string {
  return labels === "" ? "" : `{${labels}}`;
}

function numberText(value: number): string {
  return value === Infinity ? "+Inf" : String(value);
}

/** OpenMetrics wants whole bounds with a fraction. */
function boundText(bound: number, format: TextFormat): string {
  return format === "openmetrics" && Number.isInteger(bound) ? `${bound}.0` : numberText(bound);
}
