import type {
  SessionCommand,
  SessionEvent,
  SessionRenew,
  SessionRequest,
  SessionResponse,
  SessionUnlock,
} from "@metasrv/proto/metasrv/v1";
import { SessionFailureSchema, SessionTermsSchema } from "@metasrv/proto/metasrv/v1";
import { toBinary } from "@bufbuild/protobuf";
import { readLockRequest, writeGrant, writeRefusal, writeRenewResponse } from "./lock-messages.js";
import {
  noBytes,
  type Reader,
  readInt64,
  readNested,
  tag,
  unfamiliar,
  wireType,
  type Writer,
  writeUint32,
} from "./protobuf-fields.js";

// The messages of a session, field by field as in the proto file.

const { varint, bytes } = wireType;

/** Reads a `metasrv.v1.SessionRequest`. */
export function readSessionRequest(reader: Reader, end: number): SessionRequest {
  const commands: SessionCommand[] = [];
  while (reader.pos < end) {
    if (reader.uint32() !== tag(1, bytes)) {
      throw unfamiliar;
    }
    commands.push(readNested(reader, readCommand));
  }
  return { $typeName: "metasrv.v1.SessionRequest", commands };
}

function readCommand(reader: Reader, end: number): SessionCommand {
  let number = 0;
  let command: SessionCommand["command"] = { case: undefined };
  while (reader.pos < end) {
    switch (reader.uint32()) {
      case tag(1, varint):
        number = reader.uint32();
        break;
      case tag(2, bytes):
        command = { case: "lock", value: readNested(reader, readLockRequest) };
        break;
      case tag(3, bytes):
        command = { case: "unlock", value: readNested(reader, readUnlock) };
        break;
      case tag(4, bytes):
        command = { case: "renew", value: readNested(reader, readRenew) };
        break;
      case tag(5, varint):
        command = { case: "cancel", value: reader.uint32() };
        break;
      default:
        throw unfamiliar;
    }
  }
  return { $typeName: "metasrv.v1.SessionCommand", number, command };
}

function readUnlock(reader: Reader, end: number): SessionUnlock {
  const unlock: SessionUnlock = { $typeName: "metasrv.v1.SessionUnlock", lock: 0, key: noBytes };
  while (reader.pos < end) {
    switch (reader.uint32()) {
      case tag(1, varint):
        unlock.lock = reader.uint32();
        break;
      case tag(2, bytes):
        unlock.key = reader.bytes();
        break;
      default:
        throw unfamiliar;
    }
  }
  return unlock;
}

function readRenew(reader: Reader, end: number): SessionRenew {
  const renew: SessionRenew = { $typeName: "metasrv.v1.SessionRenew", lock: 0, key: noBytes, ttlMs: 0n };
  while (reader.pos < end) {
    switch (reader.uint32()) {
      case tag(1, varint):
        renew.lock = reader.uint32();
        break;
      case tag(2, bytes):
        renew.key = reader.bytes();
        break;
      case tag(3, varint):
        renew.ttlMs = readInt64(reader);
        break;
      default:
        throw unfamiliar;
    }
  }
  return renew;
}

/** Writes a `metasrv.v1.SessionResponse`. */
export function writeSessionResponse(writer: Writer, { events, terms, draining }: SessionResponse): void {
  for (const event of events) {
    writer.uint32(tag(1, bytes)).fork();
    writeEvent(writer, event);
    writer.ldelim();
  }
  if (terms !== undefined) {
    writer.uint32(tag(2, bytes)).bytes(toBinary(SessionTermsSchema, terms));
  }
  if (draining) {
    writer.uint32(tag(3, varint)).bool(true);
  }
}

function writeEvent(writer: Writer, { number, event }: SessionEvent): void {
  writeUint32(writer, 1, number);
  switch (event.case) {
    case "granted":
      writer.uint32(tag(2, bytes)).fork();
      writeGrant(writer, event.value);
      writer.ldelim();
      break;
    case "refused":
      writer.uint32(tag(3, bytes)).fork();
      writeRefusal(writer, event.value);
      writer.ldelim();
      break;
    case "unlocked":
      writer.uint32(tag(4, bytes)).uint32(0);
      break;
    case "renewed":
      writer.uint32(tag(5, bytes)).fork();
      writeRenewResponse(writer, event.value);
      writer.ldelim();
      break;
    case "failed":
      writer.uint32(tag(6, bytes)).bytes(toBinary(SessionFailureSchema, event.value));
      break;
    case "lost":
      writer.uint32(tag(7, varint)).uint32(event.value);
      break;
    case undefined:
      break;
  }
}
