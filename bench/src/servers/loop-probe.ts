// Loaded into a server by `node --import`. It tells, on a socket of its own, the longest pauses of the server's event
// loop so far, as lines of JSON. It changes nothing else in that process, and does not keep it alive.
import { createServer } from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Pause } from "./loop-probe-client.js";

const resolutionMs = 2;
const lookEveryMs = 50;

const path = process.env.LOOP_PROBE_SOCKET;
if (path !== undefined) {
  const pauses: Pause[] = [];
  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  delay.enable();
  let sinceUnixMs = Date.now();
  setInterval(() => {
    const untilUnixMs = Date.now();
    pauses.push({ sinceUnixMs, untilUnixMs, longestMs: Math.max(0, delay.max / 1e6 - resolutionMs) });
    delay.reset();
    sinceUnixMs = untilUnixMs;
  }, lookEveryMs).unref();
  createServer((socket) => {
    socket.end(JSON.stringify(pauses));
  })
    .listen(path)
    .unref();
}
