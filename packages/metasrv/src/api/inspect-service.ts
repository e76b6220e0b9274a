import type { ServiceImpl } from "@connectrpc/connect";
import {
  type InspectService,
  type ListLocksRequest,
  LockMode,
  type LockSummary as LockSummaryMessage,
  type TicketInfo as TicketInfoMessage,
} from "@metasrv/proto/metasrv/v1";
import { LockError } from "../model/lock-errors.js";
import { type LockName, lockNameBytes, lockNameOf } from "../model/lock-name.js";
import { isExclusive, isShared, type Share } from "../model/share.js";
import type { LockSummary, TicketInfo } from "../node/inspection.js";
import { stateMessage } from "./grant-messages.js";
import type { Inspected } from "./locks.js";

const defaultCount = 100;
const mostCount = 250;

/** `metasrv.v1.InspectService`: shows locks, and who holds and waits, as this node sees them. */
export function createInspectService(inspected: Inspected) {
  return {
    async getLock({ lock, minToken, maxTickets }) {
      const name = nameOf(lock.case === "name" ? Buffer.from(lock.value) : lock.value);
      if (name === "") {
        throw new LockError("invalid-name", "the lock's name is empty; say which lock to show");
      }
      const shown = await inspected.get(name, minToken, countOf("max_tickets", maxTickets));
      return {
        $typeName: "metasrv.v1.GetLockResponse",
        lock: summaryMessage(shown.lock),
        tickets: shown.tickets.map(ticketMessage),
      };
    },

    async listLocks(request) {
      const { beginning, waitingOnly, pageSize, minToken } = request;
      const { locks, next } = await inspected.list({
        prefix: nameOf(beginning.case === "prefix" ? Buffer.from(beginning.value) : beginning.value),
        waitingOnly,
        pageSize: countOf("page_size", pageSize),
        after: afterOf(request),
        minToken,
      });
      return {
        $typeName: "metasrv.v1.ListLocksResponse",
        locks: locks.map(summaryMessage),
        nextPageToken: next === undefined ? "" : lockNameBytes(next).toString("base64url"),
      };
    },
  } satisfies ServiceImpl<typeof InspectService>;
}

function nameOf(bytes: Uint8Array | undefined): LockName {
  return lockNameOf(bytes ?? new Uint8Array());
}

/** @throws LockError `invalid-page` */
function countOf(field: string, count: number): number {
  if (count > mostCount) {
    throw new LockError("invalid-page", `${field} is ${count}; give 1 to ${mostCount}, or 0 for ${defaultCount}`);
  }
  return count === 0 ? defaultCount : count;
}

/** @throws LockError `invalid-page` */
function afterOf({ pageToken }: ListLocksRequest): LockName {
  const bytes = Buffer.from(pageToken, "base64url");
  if (bytes.toString("base64url") !== pageToken) {
    throw new LockError(
      "invalid-page",
      "the page token is none that a list was answered with; give back next_page_token unchanged, or nothing",
    );
  }
  return lockNameOf(bytes);
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

function ticketMessage({ share, ageMs, heldMs, expiresInMs, ...ticket }: TicketInfo): TicketInfoMessage {
  const mode = modeOf(share);
  const part = mode === LockMode.SEMAPHORE ? share : { permits: 0, limit: 0 };
  return {
    ...ticket,
    $typeName: "metasrv.v1.TicketInfo",
    mode,
    permits: part.permits,
    limit: part.limit,
    ageMs: BigInt(ageMs),
    heldMs: BigInt(heldMs),
    ...(expiresInMs !== undefined && { expiresInMs: BigInt(expiresInMs) }),
  };
}

function modeOf(share: Share): LockMode {
  if (isExclusive(share)) {
    return LockMode.EXCLUSIVE;
  }
  return isShared(share) ? LockMode.SHARED : LockMode.SEMAPHORE;
}

/** A text where the bytes are UTF-8: such a text names the same lock. */
function wireName(name: LockName): LockSummaryMessage["lock"] {
  const bytes = lockNameBytes(name);
  const text = bytes.toString("utf8");
  return Buffer.from(text, "utf8").equals(bytes)
    ? { case: "name", value: text }
    : { case: "nameBytes", value: new Uint8Array(bytes) };
}
