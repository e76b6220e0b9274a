import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { HistoryEvent } from "./event.js";

/** Reads the events of a journal, in order. Leaves out an event that the process was writing when it was killed. */
export async function readJournal(path: string): Promise<HistoryEvent[]> {
  const events: HistoryEvent[] = [];
  for await (const line of createInterface({ input: createReadStream(path) })) {
    if (line.endsWith("}")) {
      events.push(JSON.parse(line) as HistoryEvent);
    }
  }
  return events;
}
