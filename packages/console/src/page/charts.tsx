import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import type { RateHistory, Series } from "./rate-history.js";

const heightPx = 130;

/** A chart shows this many seconds even if it has seen fewer. */
const leastS = 60;

/** How much goes on, and how much is there, over the last ten minutes. */
export function Charts({ history }: { readonly history: RateHistory }) {
  return (
    <div class="charts">
      <Chart title="Per second" lines={["grants", "expiries"]} series={history.rates} />
      <Chart title="Now" lines={["locks", "waiting"]} series={history.counts} />
    </div>
  );
}

function Chart({ title, lines, series }: { title: string; lines: readonly [string, string]; series: Series }) {
  const place = useRef<HTMLElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  useEffect(() => {
    const element = place.current;
    if (element === null) {
      return;
    }
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(element, lines), dataOf(series), element);
    };
    draw();
    const size = new ResizeObserver(() => {
      plot.current?.setSize({ width: element.clientWidth, height: heightPx });
    });
    size.observe(element);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", draw);
    return () => {
      scheme.removeEventListener("change", draw);
      size.disconnect();
      plot.current?.destroy();
    };
  }, []);
  // A sample a second: between them there is nothing to draw.
  const newest = series[0]?.at(-1);
  useEffect(() => {
    plot.current?.setData(dataOf(series));
  }, [newest]);
  return (
    <figure ref={place}>
      <figcaption>
        {title}: <span class="line-1">{lines[0]}</span>, <span class="line-2">{lines[1]}</span>
      </figcaption>
    </figure>
  );
}

function dataOf(series: Series): uPlot.AlignedData {
  return series.map((line) => [...line]) as unknown as uPlot.AlignedData;
}

function options(element: HTMLElement, lines: readonly [string, string]): uPlot.Options {
  const style = getComputedStyle(element);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: color("--muted"),
    grid: { stroke: color("--line"), width: 1 },
    ticks: { stroke: color("--line"), width: 1 },
    font: "11px system-ui",
  };
  return {
    width: element.clientWidth,
    height: heightPx,
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { range: (_, first, last) => xRange(first, last) },
      y: { range: (_, __, most) => [0, Math.max(1, most * 1.1)] },
    },
    axes: [axis, { ...axis, size: 48 }],
    series: [
      {},
      ...lines.map((label, at) => ({ label, stroke: color(`--line-${at + 1}`), width: 1.5, points: { show: false } })),
    ],
  };
}

/** @param last - absent while there is no sample */
function xRange(first: number | null, last: number | null): [number, number] {
  const end = last ?? Date.now() / 1_000;
  return [Math.min(first ?? end, end - leastS), end];
}
