import { Holding } from "../../packages/meta-client/src/grant.js";
import type { LockErrorReason } from "../../packages/metasrv/src/model/lock-errors.js";
import type { Grant } from "../../packages/metasrv/src/node/claim.js";
import type { Call, CallOutcome, Network } from "./network.js";
import type { NodeRequest } from "./node-service.js";
import type { SimulatedNode } from "./simulated-node.js";
import type { ProcessClock, SimulatedProcess } from "./simulated-process.js";

/** What a client wants of a node. */
export type ClientCall =
  | Extract<NodeRequest, { kind: "lock" }>
  | { readonly kind: "unlock"; readonly holding: Holding }
  | { readonly kind: "renew"; readonly holding: Holding; readonly ttlMs: number };

/** A grant, with the moment from which the client counts it. */
export interface ClientGrant {
  readonly holding: Holding;
  readonly ttlMs: number;
  /** No holder of a lock has a lower token, as the node told: one for each lock, in the order of their names. */
  readonly floors: readonly bigint[];
  /** The earliest moment at which it can have begun, on the client's clock. */
  readonly countsFromMs: number;
}

/** What a client learns of an attempt. */
export type AttemptOutcome =
  | { readonly kind: "granted"; readonly grant: ClientGrant }
  | { readonly kind: "refused" }
  | { readonly kind: "unlocked" }
  | { readonly kind: "renewed"; readonly ttlMs: number; readonly sentAtMs: number }
  | { readonly kind: "error"; readonly reason: LockErrorReason }
  /** Another node may answer. */
  | { readonly kind: "failed"; readonly maybeApplied: boolean }
  /** The client itself gave it up. */
  | { readonly kind: "withdrawn" };

/** One attempt at one node. */
export interface Attempt {
  readonly outcome: Promise<AttemptOutcome>;
  /** The client gives it up; the node is told. */
  withdraw(): void;
  /** The connection breaks. */
  drop(): void;
}

/** How the calls of one client process reach nodes. */
export interface ClientWay {
  /** Whether a request must have a ticket id that the client chose. */
  readonly needsIds: boolean;
  /** Whether nodes tell it of losses. */
  readonly hears: boolean;
  call(node: SimulatedNode, call: ClientCall): Attempt;
  /** The connection to a node breaks. Everything that was on its way is lost. */
  lose(node: SimulatedNode): void;
  /** The client does something with its connection to a node without need. */
  stir(node: SimulatedNode): void;
  /** The client has ended. */
  close(): void;
}

/** Whose calls they are, and through what they go. */
export interface ClientWayOptions {
  readonly network: Network;
  readonly process: SimulatedProcess;
  readonly clock: ProcessClock;
  /** The client's name, whichever process it runs as. */
  readonly client: string;
}

/** Every call is a request of its own. */
export class UnaryWay implements ClientWay {
  readonly needsIds = false;
  readonly hears = false;
  readonly #options: ClientWayOptions;

  constructor(options: ClientWayOptions) {
    this.#options = options;
  }

  call(node: SimulatedNode, wanted: ClientCall): Attempt {
    const { network, process, client, clock } = this.#options;
    const sentAtMs = clock.now();
    const call: Call = network.call(process, client, node, requestOf(wanted));
    return {
      outcome: call.outcome.then((outcome) => attemptOutcome(outcome, sentAtMs)),
      withdraw: () => {
        call.withdraw();
      },
      drop: () => {
        call.drop();
      },
    };
  }

  lose(): void {
    // There is no connection besides that of a call.
  }

  stir(): void {
    // There is no connection besides that of a call.
  }

  close(): void {
    // There is no connection besides that of a call.
  }
}

function requestOf(call: ClientCall): NodeRequest {
  switch (call.kind) {
    case "lock":
      return call;
    case "unlock":
      return { kind: "unlock", key: call.holding.key };
    case "renew": {
      const { key, downgraded: downgrade, value } = call.holding;
      return { kind: "renew", key, ttlMs: call.ttlMs, downgrade, value };
    }
  }
}

/** What a grant says of each lock that was asked for: of one, it has no parts. */
export function floorsOf({ floor, parts }: Pick<Grant, "floor" | "parts">): readonly bigint[] {
  return parts.length === 0 ? [floor] : parts.map((part) => part.floor);
}

function attemptOutcome(outcome: CallOutcome, sentAtMs: number): AttemptOutcome {
  switch (outcome.kind) {
    case "granted": {
      const { key, ttlMs, waitedMs } = outcome.grant;
      const floors = floorsOf(outcome.grant);
      return {
        kind: "granted",
        grant: { holding: new Holding(key), ttlMs, floors, countsFromMs: sentAtMs + waitedMs },
      };
    }
    case "renewed":
      return { ...outcome, sentAtMs };
    case "error":
      return isWorthAsking(outcome.reason) ? { kind: "failed", maybeApplied: true } : outcome;
    case "disconnected":
      return { kind: "failed", maybeApplied: true };
    case "forced":
      throw new TypeError("a client does not release locks by force");
    case "refused":
    case "unlocked":
    case "withdrawn":
      return outcome;
  }
}

/** Whether another node, or the same one later, may answer otherwise. */
function isWorthAsking(reason: LockErrorReason): boolean {
  return ["store-unavailable", "shutting-down", "not-a-member", "superseded", "canceled"].includes(reason);
}
