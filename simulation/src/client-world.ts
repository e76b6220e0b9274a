import type { SessionRequest } from "@metasrv/proto/metasrv/v1";
import type { Clock } from "@metasrv/wire";
import type { LockChannel } from "../../packages/meta-client/src/lock-channel.js";
import type { Invariants } from "./invariants.js";
import type { Network } from "./network.js";
import type { Profile } from "./profile.js";
import type { Random } from "./random.js";
import type { SimulatedNode } from "./simulated-node.js";

/** What a client does wrong on purpose: it is the real one with a wrong part. */
export interface ClientVariant {
  /** Called for each endpoint. */
  readonly wrapChannel?: (
    channel: LockChannel,
    parts: { readonly clock: Clock; readonly random: Random },
  ) => LockChannel;
  readonly wrapClock?: (clock: Clock) => Clock;
  /** Called for each message of a session. */
  readonly changeRequest?: (request: SessionRequest) => SessionRequest;
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
