import type { WireName } from "./lock-name.js";

/*
 * What this page reads of metasrv.v1.InspectService, AdminService and ClusterService, in JSON: numbers of 64 bits are texts, and
 * what is zero or empty is left out. The protocol's files say what each field means.
 */

export interface HolderMessage {
  readonly owner?: string;
  readonly token?: string;
  readonly permits?: number;
  readonly heldMs?: string;
  readonly reserves?: boolean;
}

export interface SummaryMessage extends WireName {
  readonly state?: {
    readonly waiters?: number;
    readonly holders?: readonly HolderMessage[];
    readonly holderCount?: number;
    readonly permitsHeld?: number;
    readonly limit?: number;
  };
  readonly mode?: string;
  readonly oldestWaitMs?: string;
}

export interface TicketMessage {
  readonly token?: string;
  readonly mode?: string;
  readonly permits?: number;
  readonly limit?: number;
  readonly holds?: boolean;
  readonly position?: number;
  readonly owner?: string;
  readonly memberId?: string;
  readonly ageMs?: string;
  readonly heldMs?: string;
  readonly timesAreMinimum?: boolean;
  readonly reserves?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  readonly parts?: readonly WireName[];
}

export interface WatchLocksMessage {
  readonly locks?: readonly SummaryMessage[];
  readonly removed?: readonly WireName[];
  readonly complete?: boolean;
  readonly restarted?: boolean;
  readonly granted?: string;
  readonly expired?: string;
}

export interface WatchLockMessage {
  readonly lock?: SummaryMessage;
  readonly tickets?: readonly TicketMessage[];
}

export interface ListBlockedMessage {
  readonly locks?: readonly {
    readonly lock?: SummaryMessage;
    readonly waiter?: TicketMessage;
    readonly blockers?: readonly TicketMessage[];
  }[];
  readonly deadlocks?: readonly {
    readonly requests?: readonly { readonly lock?: WireName; readonly ticket?: TicketMessage }[];
  }[];
  readonly nextPageToken?: string;
}

export interface ListForcedMessage {
  readonly releases?: readonly {
    readonly lock?: WireName;
    readonly token?: string;
    readonly owner?: string;
    readonly held?: boolean;
    readonly actor?: string;
    readonly reason?: string;
    readonly unixMs?: string;
  }[];
}

export interface ListMembersMessage {
  readonly members?: readonly {
    readonly id?: string;
    readonly address?: string;
    readonly version?: string;
    readonly role?: string;
  }[];
}
