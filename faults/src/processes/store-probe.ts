import { Journal } from "../history/journal.js";
import { nowUs } from "../monotonic.js";
import { createStoreClient } from "../store-client.js";

// Puts to the store beside the locks, to see when the store itself serves. Every put is a new one, so that none that
// hangs in a dead member hides a store that serves again. Arguments: the endpoints, the journal's path.
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
    // That it did not succeed is what the journal shows.
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
