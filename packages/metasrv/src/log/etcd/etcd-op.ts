import type { ICompare, IKeyValue, IRequestOp, ITxnRequest, ITxnResponse } from "etcd3";
import type { OpResult, StoredTicket, TicketOp } from "../ticket-log.js";
import { decodeKeyValue, encodeTicket } from "./etcd-codec.js";
import type { EtcdKeys } from "./etcd-keys.js";

/**
 * An op as a transaction of its own: what must hold, what is done then, and a look at what did not hold otherwise.
 *
 * Whatever writes a ticket does so only while the key of the ticket's member is there. A member whose lease has lapsed
 * may have such writes on their way still; they would leave a ticket that nobody serves, in the way of all others until
 * the leader has given it a full TTL. Removals need no member: their own condition says that the ticket is unchanged.
 */
export function txnOfOp(keys: EtcdKeys, op: TicketOp): ITxnRequest {
  const key = keys.ticket(op.name, op.id);
  const failure = [{ request_range: { key } }];
  switch (op.kind) {
    case "create":
    case "update": {
      const memberKey = keys.member(op.ticket.memberId);
      return {
        compare: [op.kind === "create" ? free(keys, key, op) : unchangedSince(key, op.modRevision), exists(memberKey)],
        success: [{ request_put: { key, value: encodeTicket(op.ticket) } }],
        failure: [...failure, { request_range: { key: memberKey } }],
      };
    }
    case "delete": {
      const { condition } = op;
      const unchanged =
        "modRevision" in condition
          ? unchangedSince(key, condition.modRevision)
          : createdAt({ key }, condition.createRevision);
      return { compare: [unchanged], success: [{ request_delete_range: { key } }], failure };
    }
    case "read":
      // Never true: every key that is there has a revision, and one that is not there has revision 0.
      return { compare: [{ target: "Mod", result: "Less", key, mod_revision: "0" }], success: [], failure };
  }
}

/** An op, and what {@link txnOfOp} made of it. */
export interface OpWithTxn {
  readonly op: TicketOp;
  readonly txn: ITxnRequest;
}

/** Ops as one transaction that does all of them if all their conditions hold. */
export function txnOfAll(ops: readonly OpWithTxn[]): ITxnRequest {
  const compare: ICompare[] = [];
  const success: IRequestOp[] = [];
  // Most often there is only one, and one comparison does for all its ops.
  const members = new Map<string, ICompare>();
  for (const { op, txn } of ops) {
    const [ofTicket, ofMember] = txn.compare ?? [];
    if (ofTicket !== undefined) {
      compare.push(ofTicket);
    }
    success.push(...(txn.success ?? []));
    if ("ticket" in op && ofMember !== undefined) {
      members.set(op.ticket.memberId, ofMember);
    }
  }
  compare.push(...members.values());
  return { compare, success, failure: [] };
}

/** Ops as one transaction that does each if its own conditions hold. */
export function txnOfEach(ops: readonly OpWithTxn[]): ITxnRequest {
  return { compare: [], success: ops.map(({ txn }) => ({ request_txn: txn })), failure: [] };
}

/**
 * What became of an op; `not-a-member` when it was not done, nor ever will be, because the member is gone for which it
 * was to write.
 *
 * @param uncertain - whether an earlier attempt at the same op may have taken effect. Then a condition that does not hold
 *   any more is looked at again: if the ticket stands as the op would have left it, the op is done.
 */
export function resultOfOp(
  keys: EtcdKeys,
  op: TicketOp,
  response: ITxnResponse,
  uncertain: boolean,
): OpResult | "not-a-member" {
  if (response.succeeded) {
    return { done: true, revision: revisionOf(response) };
  }
  const [ticket, member] = response.responses.map(({ response_range: range }) => range.kvs[0]);
  const existing = ticket && storedTicket(keys, ticket);
  const doneBefore = uncertain ? doneRevision(op, existing, response) : undefined;
  if (doneBefore !== undefined) {
    return { done: true, revision: doneBefore };
  }
  return "ticket" in op && member === undefined ? "not-a-member" : { done: false, existing };
}

/** The revision at which an op was done that left the ticket as it stands; undefined if it cannot have been done. */
function doneRevision(op: TicketOp, existing: StoredTicket | undefined, response: ITxnResponse): bigint | undefined {
  switch (op.kind) {
    case "create":
      return existing?.ticket.memberId === op.ticket.memberId ? existing.createRevision : undefined;
    case "update":
      // If nothing has changed it, the member is gone; if it was created anew, by a late repeat of a creation, it is not
      // the ticket that was to be written.
      return existing?.createRevision === op.createRevision &&
        existing.modRevision !== op.modRevision &&
        existing.ticket.memberId === op.ticket.memberId &&
        existing.ticket.ttlMs === op.ticket.ttlMs
        ? existing.modRevision
        : undefined;
    case "delete":
      return existing === undefined ? revisionOf(response) : undefined;
    case "read":
      return undefined;
  }
}

/** Bytes that an op takes in a request, roughly. */
export function sizeOfOp(op: TicketOp): number {
  return 4 * op.name.length + 512 + ("ticket" in op ? op.ticket.owner.length : 0);
}

/** Nothing is there: neither the ticket nor, where the lock has to be free, any other of its tickets. */
function free(keys: EtcdKeys, key: Buffer, { name, onlyIfFree }: Extract<TicketOp, { kind: "create" }>): ICompare {
  if (!onlyIfFree) {
    return createdAt({ key }, 0n);
  }
  const { start, end } = keys.tickets(name);
  return createdAt({ key: start, range_end: end }, 0n);
}

function createdAt(range: Pick<ICompare, "key" | "range_end">, createRevision: bigint): ICompare {
  return { target: "Create", result: "Equal", ...range, create_revision: createRevision.toString() };
}

function unchangedSince(key: Buffer, modRevision: bigint): ICompare {
  return { target: "Mod", result: "Equal", key, mod_revision: modRevision.toString() };
}

function exists(key: Buffer): ICompare {
  return { target: "Create", result: "Greater", key, create_revision: "0" };
}

/** The revision of a transaction that succeeded. */
export function revisionOf(response: ITxnResponse): bigint {
  return BigInt(response.header.revision);
}

function storedTicket(keys: EtcdKeys, kv: IKeyValue): StoredTicket | undefined {
  const decoded = decodeKeyValue(keys, kv);
  return decoded?.kind === "ticket" ? decoded : undefined;
}
