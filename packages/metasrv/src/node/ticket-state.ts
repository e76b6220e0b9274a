/**
 * The states of a ticket that this node serves:
 *
 * - `looking`: a try-lock of a lock that looks taken; the node is reading the log up to now, and has sent no command
 *   yet
 * - `asking`: a create command is on its way, and the requester is here
 * - `askingAlone`: a create command is on its way; the requester is gone, but may come back within the grace
 * - `withdrawn`: a create command is on its way, and nobody wants the ticket any more
 * - `waiting`: the ticket is in the table, and its requester was not told of a grant
 * - `untold`: the ticket is in the table and holds; its requester is told once this node is surely a member
 * - `kept`: the ticket is in the table; its requester is gone, but may come back before a time has passed
 * - `held`: the requester was told of the grant, and the TTL runs
 * - `releasing`: the requester gives the lock back, and a remove command is on its way
 * - `removing`: nobody wants the ticket, and a remove command is on its way
 * - `leftOver`: nobody wants the ticket, and the log did not take the remove command; another one follows after a pause
 * - `replacing`: a remove command is on its way, and the requester has asked again meanwhile
 * - `gone`: this node has nothing to do with the ticket any more
 */
export type TicketState =
  | "looking"
  | "asking"
  | "askingAlone"
  | "withdrawn"
  | "waiting"
  | "untold"
  | "kept"
  | "held"
  | "releasing"
  | "removing"
  | "leftOver"
  | "replacing"
  | "gone";

/**
 * The events that can happen to a ticket.
 *
 * - The outcome of its create command, and what the table shows after the entry: `holds`, `holdsMoved` (another member
 *   had served the ticket, and may have told of a grant), `waits`, `refused`, `superseded` (another request for the
 *   same ticket took its place), `removedAtOnce`, `outdated` (the ticket is there, but its token must not be told any
 *   more; for a hold: its requester has asked again).
 * - Any command: `failed` (it had no effect and never will). A create command: `failedThere` (it failed, but an earlier
 *   one had put the ticket into the table), `overdue` (its outcome is not known in time). A remove command: `done`,
 *   `notThere` (somebody else had removed the ticket).
 * - The table: `granted`, `removed`, `moved` (another member serves the ticket now).
 * - The requester: `askAgain`, `cancel`, `detach` (it cannot be reached), `release`, `renewed` (by the key).
 * - The clock or the node: `giveUp` (the wait is over), `timeOver` (the grace or the TTL is over), `free` and `taken`
 *   (the log was read up to now), `sure` (this node is surely a member), `abandon` (this node does not serve its
 *   tickets any more).
 *
 * `cancelMoved`, `detachMoved` and `giveUpMoved` are for a ticket that held already when it came from another member.
 */
export type TicketEvent =
  | "holds"
  | "holdsMoved"
  | "waits"
  | "refused"
  | "superseded"
  | "removedAtOnce"
  | "outdated"
  | "failed"
  | "failedThere"
  | "overdue"
  | "done"
  | "notThere"
  | "granted"
  | "removed"
  | "moved"
  | "askAgain"
  | "cancel"
  | "cancelMoved"
  | "detach"
  | "detachMoved"
  | "release"
  | "renewed"
  | "giveUp"
  | "giveUpMoved"
  | "timeOver"
  | "free"
  | "taken"
  | "sure"
  | "abandon";

/**
 * What is to be done: tell the requester something, send a command, start a time, or forget.
 *
 * - `announce`: `sure` follows, at once or when this node is surely a member again
 * - `startKeep`: another member may have told the requester of a grant, so the requester gets a full TTL to come back
 * - `leave`: there is nobody to tell any more
 * - `forget`: this node has nothing to do with the ticket any more
 */
export type TicketEffect =
  | "create"
  | "remove"
  | "expire"
  | "removeLater"
  | "announce"
  | "startTtl"
  | "startGrace"
  | "startKeep"
  | "tellGranted"
  | "tellRefused"
  | "tellSuperseded"
  | "tellRemoved"
  | "tellFailed"
  | "tellReleased"
  | "tellExpired"
  | "tellMoved"
  | "leave"
  | "forget";

/** The state that an event leads to, and what is to be done on the way, in this order. */
export interface Transition {
  readonly to: TicketState;
  readonly effects: readonly TicketEffect[];
}

const go = (to: TicketState, ...effects: TicketEffect[]): Transition => ({ to, effects });

/** The transitions that are the same for every ticket that is in the table and whose requester waits here. */
const waitsHere = {
  removed: go("gone", "tellRemoved", "forget"),
  moved: go("gone", "tellSuperseded", "forget"),
  askAgain: go("asking", "create"),
  cancel: go("removing", "leave", "remove"),
  cancelMoved: go("kept", "leave", "startKeep"),
  detach: go("kept", "leave", "startGrace"),
  detachMoved: go("kept", "leave", "startKeep"),
  giveUp: go("removing", "tellFailed", "remove"),
  giveUpMoved: go("kept", "tellFailed", "startKeep"),
  renewed: go("held", "tellSuperseded", "startTtl"),
  abandon: go("gone", "tellFailed", "forget"),
} as const;

/** All transitions. An event that is not listed for a state changes nothing there. */
export const transitions: Readonly<Record<TicketState, Readonly<Partial<Record<TicketEvent, Transition>>>>> = {
  looking: {
    free: go("asking", "create"),
    taken: go("gone", "tellRefused", "forget"),
    failed: go("gone", "tellFailed", "forget"),
    askAgain: go("asking", "create"),
    cancel: go("gone", "leave", "forget"),
    detach: go("gone", "leave", "forget"),
    giveUp: go("gone", "tellFailed", "forget"),
    abandon: go("gone", "tellFailed", "forget"),
  },
  asking: {
    holds: go("untold", "announce"),
    holdsMoved: go("untold", "announce"),
    waits: go("waiting"),
    refused: go("gone", "tellRefused", "forget"),
    superseded: go("gone", "tellSuperseded", "forget"),
    removedAtOnce: go("gone", "tellRemoved", "forget"),
    outdated: go("replacing", "remove"),
    failed: go("gone", "tellFailed", "forget"),
    failedThere: go("removing", "tellFailed", "remove"),
    overdue: go("withdrawn", "tellFailed"),
    askAgain: go("asking", "create"),
    cancel: go("withdrawn", "leave"),
    cancelMoved: go("withdrawn", "leave"),
    detach: go("askingAlone", "leave", "startGrace"),
    detachMoved: go("askingAlone", "leave", "startGrace"),
    giveUp: go("withdrawn", "tellFailed"),
    giveUpMoved: go("withdrawn", "tellFailed"),
    renewed: go("held", "tellSuperseded", "startTtl"),
    abandon: go("gone", "tellFailed", "forget"),
  },
  askingAlone: {
    holds: go("kept"),
    holdsMoved: go("kept", "startKeep"),
    waits: go("kept"),
    refused: go("gone", "forget"),
    superseded: go("gone", "forget"),
    removedAtOnce: go("gone", "forget"),
    outdated: go("removing", "remove"),
    failed: go("gone", "forget"),
    failedThere: go("kept"),
    askAgain: go("asking", "create"),
    timeOver: go("withdrawn"),
    renewed: go("held", "startTtl"),
    abandon: go("gone", "forget"),
  },
  withdrawn: {
    holds: go("removing", "remove"),
    holdsMoved: go("kept", "startKeep"),
    waits: go("removing", "remove"),
    refused: go("gone", "forget"),
    superseded: go("gone", "forget"),
    removedAtOnce: go("gone", "forget"),
    outdated: go("removing", "remove"),
    failed: go("gone", "forget"),
    failedThere: go("removing", "remove"),
    askAgain: go("asking", "create"),
    renewed: go("held", "startTtl"),
    abandon: go("gone", "forget"),
  },
  waiting: {
    ...waitsHere,
    granted: go("untold", "announce"),
  },
  untold: {
    ...waitsHere,
    sure: go("held", "startTtl", "tellGranted"),
  },
  kept: {
    removed: go("gone", "forget"),
    moved: go("gone", "forget"),
    askAgain: go("asking", "create"),
    timeOver: go("removing", "remove"),
    renewed: go("held", "startTtl"),
    abandon: go("gone", "forget"),
  },
  held: {
    cancel: go("held", "leave"),
    cancelMoved: go("held", "leave"),
    detach: go("held", "leave"),
    detachMoved: go("held", "leave"),
    removed: go("gone", "tellReleased", "forget"),
    moved: go("gone", "tellMoved", "forget"),
    release: go("releasing"),
    outdated: go("removing", "tellReleased", "remove"),
    renewed: go("held", "startTtl"),
    timeOver: go("removing", "tellExpired", "expire"),
    abandon: go("gone", "tellMoved", "forget"),
  },
  releasing: {
    cancel: go("releasing", "leave"),
    cancelMoved: go("releasing", "leave"),
    detach: go("releasing", "leave"),
    detachMoved: go("releasing", "leave"),
    renewed: go("releasing", "startTtl"),
    failed: go("held"),
    done: go("gone", "forget"),
    notThere: go("gone", "tellReleased", "forget"),
    removed: go("gone", "tellReleased", "forget"),
    moved: go("gone", "tellMoved", "forget"),
    askAgain: go("replacing"),
    timeOver: go("removing", "tellExpired"),
    abandon: go("gone", "tellMoved", "forget"),
  },
  removing: {
    failed: go("leftOver", "removeLater"),
    done: go("gone", "forget"),
    notThere: go("gone", "forget"),
    removed: go("gone", "forget"),
    moved: go("gone", "forget"),
    askAgain: go("replacing"),
    abandon: go("gone", "forget"),
  },
  leftOver: {
    timeOver: go("removing", "remove"),
    removed: go("gone", "forget"),
    moved: go("gone", "forget"),
    askAgain: go("asking", "create"),
    abandon: go("gone", "forget"),
  },
  replacing: {
    failed: go("asking", "create"),
    done: go("asking", "create"),
    notThere: go("asking", "create"),
    removed: go("asking", "create"),
    moved: go("asking", "create"),
    askAgain: go("replacing"),
    cancel: go("removing", "leave"),
    cancelMoved: go("removing", "leave"),
    detach: go("removing", "leave"),
    detachMoved: go("removing", "leave"),
    giveUp: go("removing", "tellFailed"),
    giveUpMoved: go("removing", "tellFailed"),
    abandon: go("gone", "tellFailed", "forget"),
  },
  gone: {},
};

/** The transition of an event in a state; undefined where the event changes nothing. */
export function next(state: TicketState, event: TicketEvent): Transition | undefined {
  return transitions[state][event];
}
