// Loaded into a server under test by `node --import`. It tells, on a socket of its own, how much memory is in use after
// a garbage collection. It changes nothing else in that process, and does not keep it alive.
import { createServer } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const path = process.env.HEAP_PROBE_SOCKET;
if (path !== undefined) {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  createServer((socket) => {
    // The second collection frees what only the finalizers of the first one still held.
    collect();
    collect();
    const { heapUsed, external } = process.memoryUsage();
    socket.end(String(heapUsed + external));
  })
    .listen(path)
    .unref();
}
