import { until } from "./until.js";

// What a test may leave open by mistake. Timers are not among them, because jest has its own.
const WATCHED = new Set([
  "ProcessWrap",
  "PipeWrap",
  "TCPSocketWrap",
  "TCPServerWrap",
  "TLSWrap",
  "UDPWrap",
  "FSEventWrap",
]);

/**
 * Notes which sockets, servers, pipes and child processes this process has open now, and returns a check that fails if
 * there are more. Write `afterAll(leakCheck());` as the last line of a test file, because hooks run in the order in
 * which they are registered.
 *
 * @param timeoutMs - how long the check waits for what is being closed
 */
export function leakCheck(timeoutMs = 10_000): () => Promise<void> {
  openStandardStreams();
  const before = openResources();
  const leaked = (): string[] =>
    [...openResources()].flatMap(([type, count]) => {
      const more = count - (before.get(type) ?? 0);
      return more > 0 ? [`${more} ${type}`] : [];
    });
  return async () => {
    // What was closed just now disappears after a few turns of the event loop.
    await until(() => leaked().length === 0, { what: "everything to be closed", timeoutMs }).catch(() => {
      throw new Error(`left open by this test file: ${leaked().join(", ")}`);
    });
  };
}

/** Node opens these when they are used first, be it by a warning. Where jest runs a file in a process of its own, they are pipes. */
function openStandardStreams(): readonly NodeJS.WritableStream[] {
  return [process.stdout, process.stderr];
}

function openResources(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const type of process.getActiveResourcesInfo()) {
    if (WATCHED.has(type)) {
      counts.set(type, (counts.get(type) ?? 0) + 1);
    }
  }
  return counts;
}
