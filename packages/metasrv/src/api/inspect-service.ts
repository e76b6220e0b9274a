import type { UnknownField } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  type HeldLock,
  type InspectService,
  LockMode,
  type LockName as LockNameMessage,
  type LockSummary as LockSummaryMessage,
  type TicketInfo as TicketInfoMessage,
} from "@metasrv/proto/metasrv/v1";
import { FieldWriter, writeLockSummary } from "@metasrv/wire";
import { LockError } from "../model/lock-errors.js";
import { isExclusive, isShared, type Share } from "../model/ticket-content.js";
import { type LockName, lockNameBytes, lockNameOf } from "../model/ticket-ref.js";
import type { LockSummary, TicketInfo } from "../node/inspection.js";
import type { Access } from "./access.js";
import { abortReason, answerStartKey, originOf } from "./caller.js";
import { nameBytes, stateMessage, wireName } from "./claim-messages.js";

const defaultCount = 100;
const mostCount = 250;

/** `metasrv.v1.InspectService`: shows locks, and who holds and waits, as this node sees them. */
export function createInspectService(access: Access) {
  return {
    async getLock({ lock, minToken, maxTickets }, context) {
      const { inspection } = access.of(originOf(context)).operated;
      const shown = await inspection.get(requiredName(lock), minToken, countOf("max_tickets", maxTickets));
      return {
        $typeName: "metasrv.v1.GetLockResponse",
        lock: summaryMessage(shown.lock),
        tickets: shown.tickets.map(ticketMessage),
      };
    },

    async listLocks({ beginning, waitingOnly, pageSize, pageToken, minToken }, context) {
      const { inspection } = access.of(originOf(context)).operated;
      const { locks, next } = await inspection.list({
        prefix: lockNameOf(nameBytes(beginning)),
        waitingOnly,
        pageSize: countOf("page_size", pageSize),
        after: afterOf(pageToken),
        minToken,
      });
      return {
        $typeName: "metasrv.v1.ListLocksResponse",
        ...shownLocks(locks, context),
        nextPageToken: pageTokenOf(next),
      };
    },

    async *watchLock({ lock, maxTickets }, context) {
      const { signal } = context;
      const { watch } = access.of(originOf(context)).operated;
      for await (const shown of watch.one(requiredName(lock), countOf("max_tickets", maxTickets), signal)) {
        yield {
          $typeName: "metasrv.v1.WatchLockResponse",
          lock: summaryMessage(shown.lock),
          tickets: shown.tickets.map(ticketMessage),
        };
      }
      throw abortReason(signal);
    },

    async *watchLocks({ beginning, pulse }, context) {
      const { signal } = context;
      const { watch } = access.of(originOf(context)).operated;
      const prefix = lockNameOf(nameBytes(beginning));
      for await (const changes of watch.many({ prefix, pulse }, signal)) {
        const { locks, removed, complete, restarted, granted, expired } = changes;
        yield {
          $typeName: "metasrv.v1.WatchLocksResponse",
          ...shownLocks(locks, context),
          removed: removed.map(nameMessage),
          complete,
          restarted,
          granted: BigInt(granted),
          expired: BigInt(expired),
        };
      }
      throw abortReason(signal);
    },

    async listBlocked({ beginning, minWaitMs, pageSize, pageToken, minToken }, context) {
      const { inspection } = access.of(originOf(context)).operated;
      const { locks, deadlocks, next } = await inspection.blocked({
        prefix: lockNameOf(nameBytes(beginning)),
        minWaitMs: Number(minWaitMs),
        pageSize: countOf("page_size", pageSize),
        after: afterOf(pageToken),
        minToken,
      });
      return {
        $typeName: "metasrv.v1.ListBlockedResponse",
        locks: locks.map(({ lock, waiter, blockers }) => ({
          $typeName: "metasrv.v1.BlockedLock",
          lock: summaryMessage(lock),
          waiter: ticketMessage(waiter),
          blockers: blockers.map(ticketMessage),
        })),
        deadlocks: deadlocks.map((requests) => ({
          $typeName: "metasrv.v1.Deadlock",
          requests: requests.map(({ name, ticket }) => ({
            $typeName: "metasrv.v1.DeadlockedRequest",
            lock: nameMessage(name),
            ticket: ticketMessage(ticket),
          })),
        })),
        nextPageToken: pageTokenOf(next),
      };
    },
  } satisfies ServiceImpl<typeof InspectService>;
}

/** Whether the caller takes protobuf's bytes, and not JSON. */
function isBinary({ requestHeader }: HandlerContext): boolean {
  return /^application\/(?:(?:connect\+)?proto|grpc(?:-web)?(?:\+proto)?)$/.test(
    requestHeader.get("content-type") ?? "",
  );
}

/**
 * The locks of a list or of a watch, which are field 1 in both. For protobuf's bytes they are written by hand: that takes a fraction
 * of the time, and of the garbage, of the general codec, which passes them on as a field that it does not know. Where the answer may
 * have a start of its own, they are that.
 */
function shownLocks(
  locks: readonly LockSummary[],
  context: HandlerContext,
): { readonly locks: LockSummaryMessage[]; readonly $unknown?: UnknownField[] } {
  if (!isBinary(context) || locks.length === 0) {
    return { locks: locks.map(summaryMessage) };
  }
  writer.clear();
  for (const lock of locks) {
    writer.nested(1, summaryMessage(lock), writeLockSummary);
  }
  const bytes = writer.take();
  const start = context.values.get(answerStartKey);
  if (start !== undefined) {
    start.bytes = bytes;
    return { locks: [] };
  }
  // The general codec writes the first tag, of one byte, by itself.
  return { locks: [], $unknown: [{ no: 1, wireType: WireType.LengthDelimited, data: bytes.subarray(1) }] };
}

const writer = new FieldWriter();

/**
 * A name that a request must have.
 *
 * @throws LockError `invalid-name`
 */
export function requiredName(lock: { readonly value?: string | Uint8Array | undefined }): LockName {
  const name = lockNameOf(nameBytes(lock));
  if (name === "") {
    throw new LockError("invalid-name", "the lock's name is empty; say which lock is meant");
  }
  return name;
}

/**
 * The size of a page.
 *
 * @throws LockError `invalid-page`
 */
export function countOf(field: string, count: number): number {
  if (count > mostCount) {
    throw new LockError("invalid-page", `${field} is ${count}; give 1 to ${mostCount}, or 0 for ${defaultCount}`);
  }
  return count === 0 ? defaultCount : count;
}

/**
 * Where a page begins, which a page token says: the bytes of a name, or of a number.
 *
 * @throws LockError `invalid-page`
 */
export function afterOf(pageToken: string): LockName {
  const bytes = Buffer.from(pageToken, "base64url");
  if (bytes.toString("base64url") !== pageToken) {
    throw new LockError(
      "invalid-page",
      "the page token is none that a list was answered with; give back next_page_token unchanged, or nothing",
    );
  }
  return lockNameOf(bytes);
}

/** The token of the page that begins there; empty if there is none. */
export function pageTokenOf(next: LockName | undefined): string {
  return next === undefined ? "" : lockNameBytes(next).toString("base64url");
}

function summaryMessage({ name, state, share, oldestWaitMs }: LockSummary): LockSummaryMessage {
  return {
    $typeName: "metasrv.v1.LockSummary",
    lock: wireName(name),
    state: stateMessage(state),
    mode: share === undefined ? LockMode.UNSPECIFIED : modeOf(share),
    oldestWaitMs: BigInt(oldestWaitMs),
  };
}

/** A ticket, as it is sent. */
export function ticketMessage(info: TicketInfo): TicketInfoMessage {
  const mode = modeOf(info.share);
  const part = mode === LockMode.SEMAPHORE ? info.share : { permits: 0, limit: 0 };
  const message: TicketInfoMessage = {
    $typeName: "metasrv.v1.TicketInfo",
    token: info.token,
    mode,
    permits: part.permits,
    limit: part.limit,
    holds: info.holds,
    position: info.position,
    owner: info.owner,
    memberId: info.memberId,
    ageMs: BigInt(info.ageMs),
    heldMs: BigInt(info.heldMs),
    timesAreMinimum: info.timesAreMinimum,
    reserves: info.reserves,
    labels: Object.fromEntries(info.labels),
    value: Buffer.from(info.value, "latin1"),
    parts: info.parts.map(nameMessage),
    within: info.within.map(({ name, token }): HeldLock => ({
      $typeName: "metasrv.v1.HeldLock",
      lock: wireName(name),
      token,
    })),
  };
  if (info.expiresInMs !== undefined) {
    message.expiresInMs = BigInt(info.expiresInMs);
  }
  return message;
}

/** A name, as it is sent. */
export function nameMessage(name: LockName): LockNameMessage {
  return { $typeName: "metasrv.v1.LockName", lock: wireName(name) };
}

function modeOf(share: Share): LockMode {
  if (isExclusive(share)) {
    return LockMode.EXCLUSIVE;
  }
  return isShared(share) ? LockMode.SHARED : LockMode.SEMAPHORE;
}
