import { Journal } from "../history/journal.js";
import { nowUs } from "../monotonic.js";
import { createStoreClient } from "../store-client.js";

// Puts keys into etcd beside the locks, to see when etcd itself serves. Each put is a new call, so that a put that
// hangs in a dead member cannot hide an etcd that serves again. Arguments: the endpoints, the journal's path.
const [endpoints = "", journalPath = ""] = process.argv.slice(2);
const journal = new Journal(journalPath);
const client = createStoreClient(endpoints.split(","));

const intervalMs = 20;
const answersWithinMs = 1_000;
const maxInFlight = 100;

let inFlight = 0;
const timer = setInterval(() => {
  if (inFlight < maxInFlight) {
    void put();
  }
}, intervalMs);

async function put(): Promise<void> {
  inFlight++;
  try {
    await client
      .put("faults/probe")
      .value("")
      .options({ deadline: Date.now() + answersWithinMs });
    journal.write({ kind: "put", atUs: nowUs() });
  } catch {
    // The journal shows that the put did not succeed.
  } finally {
    inFlight--;
  }
}

process.once("SIGTERM", () => {
  clearInterval(timer);
  client.close();
  process.exit(0);
});
console.log("ready");
