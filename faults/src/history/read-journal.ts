import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { HistoryEvent } from "./event.js";

/** The events of a journal, in order. What was being written when the process was killed is left out. */
export async function readJournal(path: string): Promise<HistoryEvent[]> {
  const events: HistoryEvent[] = [];
  for await (const line of createInterface({ input: createReadStream(path) })) {
    if (line.endsWith("}")) {
      events.push(JSON.parse(line) as HistoryEvent);
    }
  }
  return events;
}
