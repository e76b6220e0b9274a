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

/** The bytes of a ticket. */
export function encodeTicket({ mode, ttlMs, owner, memberId, resumable }: Ticket): Buffer {
  const message = create(TicketSchema, { mode: storedModes[mode], ttlMs: BigInt(ttlMs), owner, memberId, resumable });
  return Buffer.from(toBinary(TicketSchema, message));
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
  try {
    const { mode, ttlMs, owner, memberId, resumable } = fromBinary(TicketSchema, bytes);
    const known = modes.get(mode);
    return known && { mode: known, ttlMs: Number(ttlMs), owner, memberId, resumable };
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
