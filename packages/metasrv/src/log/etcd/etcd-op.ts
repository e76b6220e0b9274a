import type { ICompare, IRequestOp, ITxnRequest, ITxnResponse } from "etcd3";
import type { OpResult, StoredTicket, TicketOp } from "../ticket-log.js";
import { decodeKeyValue, encodeTicket } from "./etcd-codec.js";
import type { EtcdKeys } from "./etcd-keys.js";

/** An op as a transaction of its own: what must hold, what is done then, and a look at the ticket otherwise. */
export function txnOfOp(keys: EtcdKeys, op: TicketOp): ITxnRequest {
  const key = keys.ticket(op.name, op.id);
  const failure = [{ request_range: { key } }];
  switch (op.kind) {
    case "create": {
      const scope = op.onlyIfFree ? keys.tickets(op.name) : undefined;
      const free = {
        target: "Create" as const,
        result: "Equal" as const,
        create_revision: "0",
        ...(scope === undefined ? { key } : { key: scope.start, range_end: scope.end }),
      };
      return { compare: [free], success: [put(key, op)], failure };
    }
    case "update":
      return { compare: [unchangedSince(key, op.modRevision)], success: [put(key, op)], failure };
    case "delete": {
      const { condition } = op;
      const unchanged =
        "modRevision" in condition
          ? unchangedSince(key, condition.modRevision)
          : {
              target: "Create" as const,
              result: "Equal" as const,
              key,
              create_revision: condition.createRevision.toString(),
            };
      return { compare: [unchanged], success: [{ request_delete_range: { key } }], failure };
    }
    case "read":
      // Never true: every key that is there has a revision, and one that is not there has revision 0.
      return { compare: [{ target: "Mod", result: "Less", key, mod_revision: "0" }], success: [], failure };
  }
}

/** Ops, each given as {@link txnOfOp} made it, as one transaction that does all of them if all their conditions hold. */
export function txnOfAll(txns: readonly ITxnRequest[]): ITxnRequest {
  const compare: ICompare[] = [];
  const success: IRequestOp[] = [];
  for (const txn of txns) {
    compare.push(...(txn.compare ?? []));
    success.push(...(txn.success ?? []));
  }
  return { compare, success, failure: [] };
}

/** Ops, each given as {@link txnOfOp} made it, as one transaction that does each if its own condition holds. */
export function txnOfEach(txns: readonly ITxnRequest[]): ITxnRequest {
  return { compare: [], success: txns.map((txn) => ({ request_txn: txn })), failure: [] };
}

/**
 * What became of an op.
 *
 * @param uncertain - whether an earlier attempt at the same op may have taken effect. Then a condition that does not hold
 *   any more is looked at again: if the ticket stands as the op would have left it, the op is done.
 */
export function resultOfOp(keys: EtcdKeys, op: TicketOp, response: ITxnResponse, uncertain: boolean): OpResult {
  if (response.succeeded) {
    return { done: true, revision: revisionOf(response) };
  }
  const existing = existingTicket(keys, response);
  if (uncertain) {
    switch (op.kind) {
      case "create":
        if (existing?.ticket.memberId === op.ticket.memberId) {
          return { done: true, revision: existing.createRevision };
        }
        break;
      case "update":
        if (existing?.ticket.memberId === op.ticket.memberId && existing.ticket.ttlMs === op.ticket.ttlMs) {
          return { done: true, revision: existing.modRevision };
        }
        break;
      case "delete":
        if (existing === undefined) {
          return { done: true, revision: revisionOf(response) };
        }
        break;
      case "read":
        break;
    }
  }
  return { done: false, existing };
}

/** Bytes that an op takes in a request, roughly. */
export function sizeOfOp(op: TicketOp): number {
  return 4 * op.name.length + 512 + ("ticket" in op ? op.ticket.owner.length : 0);
}

function put(key: Buffer, { ticket }: { readonly ticket: StoredTicket["ticket"] }): IRequestOp {
  return { request_put: { key, value: encodeTicket(ticket) } };
}

function unchangedSince(key: Buffer, modRevision: bigint) {
  return { target: "Mod" as const, result: "Equal" as const, key, mod_revision: modRevision.toString() };
}

/** The revision of a transaction that succeeded. */
export function revisionOf(response: ITxnResponse): bigint {
  return BigInt(response.header.revision);
}

function existingTicket(keys: EtcdKeys, response: ITxnResponse): StoredTicket | undefined {
  const kv = response.responses[0]?.response_range.kvs[0];
  const decoded = kv && decodeKeyValue(keys, kv);
  return decoded?.kind === "ticket" ? decoded : undefined;
}
