import type { Scenario } from "./scenario.js";
import { cancelScenarios } from "./scenarios/cancel.js";
import { exclusionScenarios } from "./scenarios/exclusion.js";
import { expiryScenarios } from "./scenarios/expiry.js";
import { foreignKeyScenarios } from "./scenarios/foreign-keys.js";
import { keyScenarios } from "./scenarios/keys.js";
import { nameScenarios } from "./scenarios/names.js";
import { prefixScenarios } from "./scenarios/prefixes.js";
import { queueScenarios } from "./scenarios/queue.js";
import { renewalScenarios } from "./scenarios/renewal.js";
import { restartScenarios } from "./scenarios/restart.js";
import { forceScenarios, severalScenarios } from "./scenarios/several.js";
import { sharingScenarios } from "./scenarios/sharing.js";
import { ticketIdScenarios } from "./scenarios/ticket-id.js";
import { tokenScenarios } from "./scenarios/tokens.js";
import { tryLockScenarios } from "./scenarios/try-lock.js";
import { unlockScenarios } from "./scenarios/unlock.js";
import { waitScenarios } from "./scenarios/wait.js";

/** Everything that makes a lock service of a backend, by subject. */
export const allScenarios: Readonly<Record<string, readonly Scenario[]>> = {
  exclusion: exclusionScenarios,
  queue: queueScenarios,
  keys: keyScenarios,
  tokens: tokenScenarios,
  "try-lock": tryLockScenarios,
  sharing: sharingScenarios,
  "several locks": severalScenarios,
  force: forceScenarios,
  waiting: waitScenarios,
  cancelling: cancelScenarios,
  expiry: expiryScenarios,
  renewal: renewalScenarios,
  unlock: unlockScenarios,
  "ticket ids": ticketIdScenarios,
  names: nameScenarios,
  "foreign keys": foreignKeyScenarios,
  prefixes: prefixScenarios,
  restart: restartScenarios,
};
