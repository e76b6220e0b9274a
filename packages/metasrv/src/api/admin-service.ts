import type { ServiceImpl } from "@connectrpc/connect";
import type { AdminService } from "@metasrv/proto/metasrv/v1";
import { LockError } from "../model/lock-errors.js";
import type { LockName } from "../model/ticket-ref.js";
import type { Access } from "./access.js";
import { originOf } from "./caller.js";
import { afterOf, countOf, nameMessage, pageTokenOf, requiredName, ticketMessage } from "./inspect-service.js";

/** `metasrv.v1.AdminService`: takes locks away by force, and shows the records of that. */
export function createAdminService(access: Access) {
  return {
    async forceRelease({ lock, token, reason, actor, dryRun }, context) {
      const { operated } = access.of(originOf(context));
      const ticket = await operated.force(requiredName(lock), token, { actor, reason }, dryRun);
      return { $typeName: "metasrv.v1.ForceReleaseResponse", ticket: ticketMessage(ticket) };
    },

    async listForced({ pageSize, pageToken, minToken }, context) {
      const { operated } = access.of(originOf(context));
      const count = countOf("page_size", pageSize);
      const records = await operated.inspection.forced(minToken, placeOf(pageToken), count);
      const last = records.length === count ? records.at(-1) : undefined;
      return {
        $typeName: "metasrv.v1.ListForcedResponse",
        releases: records.map(({ name, token, owner, held, actor, reason, unixMs }) => ({
          $typeName: "metasrv.v1.ForcedRelease",
          lock: nameMessage(name),
          token,
          owner,
          held,
          actor,
          reason,
          unixMs: BigInt(unixMs),
        })),
        nextPageToken: pageTokenOf(last && (String(last.place) as LockName)),
      };
    },
  } satisfies ServiceImpl<typeof AdminService>;
}

/** @throws LockError `invalid-page` */
function placeOf(pageToken: string): bigint | undefined {
  const text = afterOf(pageToken);
  if (text === "") {
    return undefined;
  }
  if (!/^\d{1,20}$/.test(text)) {
    throw new LockError(
      "invalid-page",
      "the page token is none that ListForced was answered with; give back next_page_token unchanged, or nothing",
    );
  }
  return BigInt(text);
}
