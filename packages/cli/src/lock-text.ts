import type { LockSummary, TicketInfo } from "@metasrv/meta-client";
import { formatDuration } from "./durations.js";
import { printable, shownName } from "./terminal-text.js";

// What people and programs are shown of locks and requests. Texts are printable.

/** A name for programs: `name`, or `nameBytes` where it is no UTF-8. */
export function nameFields(name: string | Uint8Array): object {
  return typeof name === "string" ? { name } : { nameBytes: name };
}

/** A lock for programs. */
export function lockFields({ name, ...rest }: LockSummary): object {
  return { ...nameFields(name), ...rest };
}

/** A request for programs. */
export function ticketFields({ parts, within, ...rest }: TicketInfo): object {
  return {
    ...rest,
    parts: parts.map(nameFields),
    within: within.map(({ name, token }) => ({ ...nameFields(name), token })),
  };
}

/** Who holds a lock: `api-7:4312`, `api-7:4312 and 2 more`, or `-`. */
export function holdersText({ holders: [first], holderCount }: LockSummary): string {
  if (first === undefined) {
    return "-";
  }
  const others = holderCount > 1 ? ` and ${holderCount - 1} more` : "";
  return `${ownerText(first.owner)}${first.reserves ? " (reserves)" : ""}${others}`;
}

/** How a lock is held: `exclusive`, `shared`, `semaphore 2/5`, or `-`. */
export function kindText({ mode, permitsHeld, limit }: LockSummary): string {
  return mode === "semaphore" ? `semaphore ${permitsHeld}/${limit}` : (mode ?? "-");
}

/** For how long the first holder holds, or `-`. */
export function sinceText({ holders: [first] }: LockSummary): string {
  return first === undefined ? "-" : formatDuration(first.heldMs);
}

/** An owner, or `-` if it gave none. */
export function ownerText(owner: string): string {
  return owner === "" ? "-" : printable(owner);
}

/** A request in one line: `token 17, exclusive, holds for 2m, owner api-7:4312`. */
export function ticketText(ticket: TicketInfo): string {
  return `token ${ticket.token}, ${ticketKind(ticket)}, ${stateText(ticket)}, owner ${ownerText(ticket.owner)}`;
}

/** What a request asks for. */
export function ticketKind({ mode, permits, limit }: TicketInfo): string {
  return mode === "semaphore" ? `semaphore ${permits}/${limit}` : mode;
}

/** What a request does, and for how long. */
export function stateText({ holds, reserves, position, heldMs, ageMs }: TicketInfo): string {
  if (holds) {
    return `holds for ${formatDuration(heldMs)}`;
  }
  return `${reserves ? "reserves" : `waits (${position})`} for ${formatDuration(ageMs)}`;
}

/** What a request waits for besides, or holds: labels, and the other locks that it asked for at once. */
export function besidesText({ labels, parts }: TicketInfo): string {
  const pairs = Object.entries(labels).map(([key, text]) => `${printable(key)}=${printable(text)}`);
  return [...pairs, ...(parts.length > 1 ? [`with ${parts.map(shownName).join(", ")}`] : [])].join(" ");
}
