import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import {
  LockMode,
  SessionEventSchema,
  SessionTermsSchema,
  type Grant,
  type LockRequest,
  type SessionCommand,
  type SessionEvent,
  type SessionTerms,
} from "@metasrv/proto/metasrv/v1";
import type { WireWriter } from "./wire-writer.js";

/*
 * Commands and events of a session, of which every lock takes two each, written and read without a detour: through
 * reflection they cost more than all else that the client does. Field numbers are those of lock.proto.
 */

/** Writes a command as an element of `SessionRequest.commands`. */
export function writeCommand(writer: WireWriter, { number, command }: SessionCommand): void {
  const start = writer.open(1);
  writer.integer(1, number);
  switch (command.case) {
    case "lock": {
      const lock = writer.open(2);
      writeLockRequest(writer, command.value);
      writer.close(lock);
      break;
    }
    case "unlock": {
      const unlock = writer.open(3);
      writeSubject(writer, command.value);
      writer.close(unlock);
      break;
    }
    case "renew": {
      const renew = writer.open(4);
      writeSubject(writer, command.value);
      writer.integer(3, Number(command.value.ttlMs));
      writer.close(renew);
      break;
    }
    case "cancel":
      writer.integer(5, command.value);
      break;
    case undefined:
  }
  writer.close(start);
}

function writeLockRequest(writer: WireWriter, request: LockRequest): void {
  if (request.lock.case === "name") writer.text(1, request.lock.value);
  else if (request.lock.case === "nameBytes") writer.bytes(2, request.lock.value);
  writer.bytes(3, request.ticketId);
  if (request.mode !== LockMode.UNSPECIFIED) writer.integer(4, request.mode);
  if (request.ttlMs !== 0n) writer.integer(5, Number(request.ttlMs));
  if (request.waitMs !== undefined) writer.integer(6, Number(request.waitMs));
  if (request.owner !== "") writer.text(7, request.owner);
  if (request.attempt !== 0) writer.integer(8, request.attempt);
}

function writeSubject(writer: WireWriter, { lock, key }: { lock: number; key: Uint8Array }): void {
  if (lock !== 0) writer.integer(1, lock);
  else writer.bytes(2, key);
}

const tag = (field: number, type: WireType): number => (field << 3) | type;
const newsTags = {
  event: tag(1, WireType.LengthDelimited),
  terms: tag(2, WireType.LengthDelimited),
  draining: tag(3, WireType.Varint),
} as const;
const eventTags = {
  number: tag(1, WireType.Varint),
  granted: tag(2, WireType.LengthDelimited),
  unlocked: tag(4, WireType.LengthDelimited),
} as const;
const grantTags = {
  key: tag(1, WireType.LengthDelimited),
  token: tag(2, WireType.Varint),
  ttlMs: tag(3, WireType.Varint),
  waitedMs: tag(4, WireType.Bit64),
} as const;

/** A `SessionResponse`. */
export interface SessionNews {
  readonly events: readonly SessionEvent[];
  readonly terms: SessionTerms | undefined;
  readonly draining: boolean;
}

/** Reads a `SessionResponse`. */
export function readNews(bytes: Uint8Array): SessionNews {
  const reader = new BinaryReader(bytes);
  const events: SessionEvent[] = [];
  let terms: SessionTerms | undefined;
  let draining = false;
  while (reader.pos < reader.len) {
    const start = reader.pos;
    switch (reader.uint32()) {
      case newsTags.event:
        events.push(readEvent(reader.bytes()));
        break;
      case newsTags.terms:
        terms = fromBinary(SessionTermsSchema, reader.bytes());
        break;
      case newsTags.draining:
        draining = reader.bool();
        break;
      default:
        skipField(reader, start);
    }
  }
  return { events, terms, draining };
}

/** Reads a `SessionEvent`. */
export function readEvent(bytes: Uint8Array): SessionEvent {
  const reader = new BinaryReader(bytes);
  const message: SessionEvent = { $typeName: "metasrv.v1.SessionEvent", number: 0, event: { case: undefined } };
  while (reader.pos < reader.len) {
    switch (reader.uint32()) {
      case eventTags.number:
        message.number = reader.uint32();
        break;
      case eventTags.granted:
        message.event = { case: "granted", value: readGrant(reader, reader.uint32()) };
        break;
      case eventTags.unlocked:
        reader.skip(WireType.LengthDelimited);
        message.event = { case: "unlocked", value: { $typeName: "metasrv.v1.UnlockResponse" } };
        break;
      default:
        // Rare, or newer than this client.
        return fromBinary(SessionEventSchema, bytes);
    }
  }
  return message;
}

function readGrant(reader: BinaryReader, length: number): Grant {
  const end = reader.pos + length;
  const grant: Grant = { $typeName: "metasrv.v1.Grant", key: noBytes, token: 0n, ttlMs: 0n, waitedMs: 0 };
  while (reader.pos < end) {
    const start = reader.pos;
    switch (reader.uint32()) {
      case grantTags.key:
        // A copy: a view would keep the whole message in memory.
        grant.key = new Uint8Array(reader.bytes());
        break;
      case grantTags.token:
        grant.token = reader.uint64() as bigint;
        break;
      case grantTags.ttlMs:
        grant.ttlMs = reader.int64() as bigint;
        break;
      case grantTags.waitedMs:
        grant.waitedMs = reader.double();
        break;
      default:
        skipField(reader, start);
    }
  }
  return grant;
}

/** Skips what a newer server says, whose tag was read already. */
function skipField(reader: BinaryReader, start: number): void {
  reader.pos = start;
  const [field, type] = reader.tag();
  reader.skip(type, field);
}

const noBytes = new Uint8Array();
