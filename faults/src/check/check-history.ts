import type { History } from "../history/history.js";
import { checkForces } from "./forces.js";
import { checkHolders } from "./holders.js";
import { checkResource } from "./resource.js";
import { checkTickets } from "./tickets.js";
import { checkUnlocks } from "./unlocks.js";
import type { Violation } from "./violation.js";

/** Finds everything in a history that must not have happened. Pure: no I/O, no clock. */
export function checkHistory(history: History): Violation[] {
  return [
    ...checkHolders(history.asks),
    ...checkTickets(history),
    ...checkUnlocks(history),
    ...checkResource(history),
    ...checkForces(history),
    ...history.left.map((ticket): Violation => ({ rule: "nothing is left", what: `${ticket} is in the log` })),
  ];
}
