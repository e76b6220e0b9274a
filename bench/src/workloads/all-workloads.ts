import { database } from "./database.js";
import { heap } from "./heap.js";
import { held } from "./held.js";
import { keptAlive } from "./kept-alive.js";
import { list } from "./list.js";
import { lockCycles } from "./lock-cycles.js";
import { lockKinds } from "./lock-kinds.js";
import { oneLock } from "./one-lock.js";
import { queue } from "./queue.js";
import { scrape } from "./scrape.js";
import { snapshot } from "./snapshot.js";
import { start } from "./start.js";
import { storeWrites } from "./store-writes.js";
import { tryBurst } from "./try-burst.js";
import { watch } from "./watch.js";
import type { Workload } from "./workload.js";

/** In the order in which they are run and reported. */
export const allWorkloads: readonly Workload[] = [
  ...lockCycles,
  ...lockKinds,
  oneLock,
  queue,
  tryBurst,
  keptAlive,
  heap,
  storeWrites,
  ...database,
  held,
  start,
  snapshot,
  list,
  watch,
  scrape,
];
