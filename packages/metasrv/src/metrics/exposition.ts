import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import { setImmediate } from "node:timers/promises";
import type { Clock } from "@metasrv/wire";
import { defineMetrics, type Definition, type MetricSources } from "./definitions.js";
import { mediaTypes, metricText } from "./text-format.js";

/** A page for whoever scrapes. */
export interface MetricsPage {
  readonly contentType: string;
  readonly text: string;
}

/** How often the event loop is asked how late it is, in milliseconds. */
const delayResolutionMs = 20;

/** How long the page may be worked on before other work is let in, in milliseconds. */
const longestMs = 2;

/** Makes the page of metrics. */
export class Exposition {
  readonly #clock: Clock;
  readonly #delay: IntervalHistogram;
  readonly definitions: readonly Definition[];

  constructor(clock: Clock, sources: Omit<MetricSources, "eventLoopDelayMs">) {
    this.#clock = clock;
    this.#delay = monitorEventLoopDelay({ resolution: delayResolutionMs });
    this.#delay.enable();
    const eventLoopDelayMs = () => {
      // What is measured is the time from one look to the next.
      const delayMs = Math.max(0, this.#delay.max / 1e6 - delayResolutionMs);
      this.#delay.reset();
      return delayMs;
    };
    this.definitions = defineMetrics({ ...sources, eventLoopDelayMs });
  }

  /**
   * The page as it is now, in the format that is asked for.
   *
   * @param accept - the header `Accept` of the request: whoever takes OpenMetrics gets it
   */
  async page(accept = ""): Promise<MetricsPage> {
    const format = accept.includes("application/openmetrics-text") ? "openmetrics" : "prometheus";
    let text = "";
    let beganAtMs = this.#clock.now();
    for (const definition of this.definitions) {
      for (const piece of metricText(definition, format)) {
        text += piece;
        if (this.#clock.now() - beganAtMs > longestMs) {
          await setImmediate();
          beganAtMs = this.#clock.now();
        }
      }
    }
    return { contentType: mediaTypes[format], text: format === "openmetrics" ? `${text}# EOF\n` : text };
  }

  /** Ends what measures. */
  close(): void {
    this.#delay.disable();
  }
}
