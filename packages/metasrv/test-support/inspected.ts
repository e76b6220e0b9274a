import type { Clock } from "@metasrv/wire";
import type { Fold } from "../src/fold/fold.js";
import { Inspection } from "../src/node/inspection.js";

/**
 * Shows a table that a test changes by itself.
 *
 * @param loopActiveMs - as the inspection's; by default, the event loop is idle
 * @param entriesUnderWay - as the log's
 */
export function inspected(fold: Fold, clock: Clock, loopActiveMs = () => 0, entriesUnderWay = () => 0): Inspection {
  return new Inspection({
    fold,
    clock,
    log: { catchUp: () => Promise.resolve(), figures: () => ({ entriesUnderWay: entriesUnderWay() }) },
    unixMs: () => 0,
    expiresAtMs: () => undefined,
    loopActiveMs,
  });
}
