import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { Journal } from "../history/journal.js";
import { nowUs } from "../monotonic.js";
import { Fence } from "../resource/fence.js";
import type { WriteAnswer, WriteRequest } from "../resource/messages.js";

// The resource that the locks guard: a process that takes writes over a Unix socket, and looks only at their tokens and floors.
// Arguments: the socket's path, the journal's path.
const [path = "", journalPath = ""] = process.argv.slice(2);
const journal = new Journal(journalPath);
const fence = new Fence();

function answer({ id, ask, lock, token, floor }: WriteRequest): WriteAnswer {
  const verdict = fence.judge(lock, BigInt(token), BigInt(floor));
  const event = { atUs: nowUs(), ask, lock, token, floor } as const;
  if (verdict.taken) {
    journal.write({ kind: "written", ...event });
  } else {
    journal.write({ kind: "fenced", ...event, highest: verdict.highest.toString() });
  }
  return { id, taken: verdict.taken };
}

const server = createServer((socket) => {
  // A client that is killed before it has read an answer resets its connection. Both of these events may tell of that.
  socket.on("error", () => socket.destroy());
  const lines = createInterface({ input: socket });
  lines.on("error", () => socket.destroy());
  lines.on("line", (line) => {
    socket.write(`${JSON.stringify(answer(JSON.parse(line) as WriteRequest))}\n`);
  });
});
server.listen(path, () => {
  console.log("ready");
});
process.once("SIGTERM", () => {
  process.exit(0);
});
