import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { LockMode as StoredLockMode, MemberSchema, TicketSchema } from "@metasrv/proto/metasrv/store/v1";
import type { IKeyValue } from "etcd3";
import type { LockMode, Member, StoredMember, StoredTicket, Ticket } from "../ticket-log.js";
import type { EtcdKeys } from "./etcd-keys.js";

const storedModes: Readonly<Record<LockMode, StoredLockMode>> = { exclusive: StoredLockMode.EXCLUSIVE };
const modes = new Map<StoredLockMode, LockMode>([
  [StoredLockMode.UNSPECIFIED, "exclusive"],
  [StoredLockMode.EXCLUSIVE, "exclusive"],
]);

/** Contents of tickets that are kept at hand. Tickets of one client differ in name and id only, hardly in content. */
const maxKnownTickets = 1_000;
const knownBytes = new WeakMap<Ticket, Buffer>();
const knownTickets = new Map<string, Ticket>();

/** The bytes of a ticket. */
export function encodeTicket(ticket: Ticket): Buffer {
  const known = knownBytes.get(ticket);
  if (known !== undefined) {
    return known;
  }
  const { mode, ttlMs, ...rest } = ticket;
  const message = create(TicketSchema, { mode: storedModes[mode], ttlMs: BigInt(ttlMs), ...rest });
  const bytes = Buffer.from(toBinary(TicketSchema, message));
  knownBytes.set(ticket, bytes);
  return bytes;
}

/** The bytes of a member. */
export function encodeMember({ address, version, startedUnixMs }: Member): Buffer {
  const message = create(MemberSchema, { address, version, startedUnixMs: BigInt(startedUnixMs) });
  return Buffer.from(toBinary(MemberSchema, message));
}

/** What a key and its value say; undefined for anything that this version cannot read. */
export function decodeKeyValue(
  keys: EtcdKeys,
  kv: IKeyValue,
): ({ kind: "ticket" } & StoredTicket) | ({ kind: "member" } & StoredMember) | undefined {
  const key = keys.parse(kv.key);
  if (key === undefined) {
    return undefined;
  }
  const createRevision = BigInt(kv.create_revision);
  if (key.kind === "member") {
    const member = decodeMember(kv.value);
    return member && { kind: "member", id: key.id, member, createRevision };
  }
  const ticket = decodeTicket(kv.value);
  return (
    ticket && {
      kind: "ticket",
      name: key.name,
      id: key.id,
      ticket,
      createRevision,
      modRevision: BigInt(kv.mod_revision),
    }
  );
}

function decodeTicket(bytes: Buffer): Ticket | undefined {
  const content = bytes.toString("latin1");
  const known = knownTickets.get(content);
  if (known !== undefined) {
    return known;
  }
  try {
    const { mode, ttlMs, owner, memberId, resumable, attempt } = fromBinary(TicketSchema, bytes);
    const knownMode = modes.get(mode);
    if (knownMode === undefined) {
      return undefined;
    }
    const ticket: Ticket = { mode: knownMode, ttlMs: Number(ttlMs), owner, memberId, resumable, attempt };
    if (knownTickets.size === maxKnownTickets) {
      knownTickets.clear();
    }
    knownTickets.set(content, ticket);
    return ticket;
  } catch {
    return undefined;
  }
}

function decodeMember(bytes: Buffer): Member | undefined {
  try {
    const { address, version, startedUnixMs } = fromBinary(MemberSchema, bytes);
    return { address, version, startedUnixMs: Number(startedUnixMs) };
  } catch {
    return undefined;
  }
}
