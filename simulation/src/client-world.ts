import type { Invariants } from "./invariants.js";
import type { Network } from "./network.js";
import type { Profile } from "./profile.js";
import type { Random } from "./random.js";
import type { SimulatedNode } from "./simulated-node.js";

/** What a client does wrong on purpose. */
export interface ClientVariant {
  /** Every attempt of a request is a new ticket. */
  readonly freshIds?: boolean;
  /** Every attempt of a request says that it is the first. */
  readonly forgetsToCount?: boolean;
  /** The validity counts from the answer. */
  readonly countsFromAnswer?: boolean;
  /** The client believes the node's measure of a wait, although the node's clock may be wrong after a long one. */
  readonly trustsLongWaits?: boolean;
  /** An answered renewal makes the client forget earlier attempts without an answer, although they may still arrive. */
  readonly forgetsAttempts?: boolean;
}

/** What all clients share. */
export interface ClientWorld {
  readonly network: Network;
  readonly invariants: Invariants;
  readonly profile: Profile;
  readonly random: Random;
  readonly nodes: readonly SimulatedNode[];
  readonly variant: ClientVariant;
  /** Whether everything is calmed down: nothing fails any more, and nothing new must be started. */
  readonly isCalm: () => boolean;
}
