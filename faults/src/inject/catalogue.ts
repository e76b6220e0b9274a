import { clientFaults } from "./client-faults.js";
import type { Fault } from "./fault.js";
import { linkFaults } from "./link-faults.js";
import { nodeFaults } from "./node-faults.js";
import { storeFaults } from "./store-faults.js";

/** Everything that can go wrong. */
export const allFaults: readonly Fault[] = [...nodeFaults, ...linkFaults, ...storeFaults, ...clientFaults];

/** @throws Error that names the kinds there are */
export function faultOf(kind: string): Fault {
  const fault = allFaults.find((candidate) => candidate.kind === kind);
  if (fault !== undefined) {
    return fault;
  }
  throw new Error(`there is no fault "${kind}"; expected one of ${allFaults.map((known) => known.kind).join(", ")}`);
}
