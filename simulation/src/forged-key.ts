import { encodeLockKey, type LockKey, ticketIdFrom } from "../../packages/metasrv/src/model/ticket-ref.js";
import type { TicketLife } from "./history.js";
import type { Random } from "./random.js";

/** A key that was never given out, but is almost the ticket's own. */
export function forgedKey({ name, id, token }: TicketLife, random: Random): LockKey & { readonly key: Uint8Array } {
  const forged = random.pick([
    { name, id: ticketIdFrom(random.bytes(16)), token },
    { name, id, token: token - 1n },
    { name, id, token: token + 1n },
  ]);
  return { ...forged, key: encodeLockKey(forged) };
}
