import {
  type ErrorDetail,
  type ForcedBy,
  LockMode,
  type LossReason,
  Reason,
  type SessionCommand,
  type SessionEvent,
  type SessionFailure,
  type SessionRenew,
  type SessionRequest,
  type SessionResponse,
  type SessionTerms,
  type SessionUnlock,
} from "@metasrv/proto/metasrv/v1";
import { type FieldReader, noBytes, tagOf, wireType } from "./field-reader.js";
import type { FieldWriter } from "./field-writer.js";
import {
  modeOf,
  readGrant,
  readLockRequest,
  readLockState,
  readRefusal,
  readRenewResponse,
  readUnlockResponse,
  writeGrant,
  writeLockRequest,
  writeLockState,
  writeRefusal,
  writeRenewResponse,
  writeUnlockResponse,
} from "./lock-messages.js";

// The messages of a session, field by field as in lock.proto. Fields that are 0 or empty are not written, as in proto3,
// except in a oneof.

const { varint, bytes } = wireType;

/** Reads a `SessionRequest`. */
export function readSessionRequest(reader: FieldReader): SessionRequest {
  const commands: SessionCommand[] = [];
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === tagOf(1, bytes)) {
      commands.push(reader.nested(readCommand));
    } else {
      reader.skip(tag, 1);
    }
  }
  return { $typeName: "metasrv.v1.SessionRequest", commands };
}

/** Writes a `SessionCommand` as one more command of a `SessionRequest`. */
export function writeSessionCommand(writer: FieldWriter, { number, command }: SessionCommand): void {
  const start = writer.open(1);
  if (number !== 0) {
    writer.uint(1, number);
  }
  switch (command.case) {
    case "lock":
      writer.nested(2, command.value, writeLockRequest);
      break;
    case "unlock":
      writer.nested(3, command.value, writeUnlock);
      break;
    case "renew":
      writer.nested(4, command.value, writeRenew);
      break;
    case "cancel":
      writer.uint(5, command.value);
      break;
    case undefined:
      break;
  }
  writer.close(start);
}

function readCommand(reader: FieldReader): SessionCommand {
  let number = 0;
  let command: SessionCommand["command"] = { case: undefined };
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    switch (tag) {
      case tagOf(1, varint):
        number = reader.uint32();
        break;
      case tagOf(2, bytes):
        command = { case: "lock", value: reader.nested(readLockRequest, command.case) };
        break;
      case tagOf(3, bytes):
        command = { case: "unlock", value: reader.nested(readUnlock, command.case) };
        break;
      case tagOf(4, bytes):
        command = { case: "renew", value: reader.nested(readRenew, command.case) };
        break;
      case tagOf(5, varint):
        command = { case: "cancel", value: reader.uint32() };
        break;
      default:
        reader.skip(tag, 5);
    }
  }
  return { $typeName: "metasrv.v1.SessionCommand", number, command };
}

function writeUnlock(writer: FieldWriter, { lock, key }: SessionUnlock): void {
  if (lock !== 0) {
    writer.uint(1, lock);
  }
  if (key.length > 0) {
    writer.bytes(2, key);
  }
}

function readUnlock(reader: FieldReader): SessionUnlock {
  const unlock: SessionUnlock = { $typeName: "metasrv.v1.SessionUnlock", lock: 0, key: noBytes };
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    switch (tag) {
      case tagOf(1, varint):
        unlock.lock = reader.uint32();
        break;
      case tagOf(2, bytes):
        unlock.key = reader.bytes();
        break;
      default:
        reader.skip(tag, 2);
    }
  }
  return unlock;
}

function writeRenew(writer: FieldWriter, { lock, key, ttlMs, mode, value }: SessionRenew): void {
  if (lock !== 0) {
    writer.uint(1, lock);
  }
  if (key.length > 0) {
    writer.bytes(2, key);
  }
  if (ttlMs !== 0n) {
    writer.bigint(3, ttlMs);
  }
  if (mode !== LockMode.UNSPECIFIED) {
    writer.bigint(4, BigInt(mode));
  }
  if (value !== undefined) {
    writer.bytes(5, value);
  }
}

function readRenew(reader: FieldReader): SessionRenew {
  const renew: SessionRenew = {
    $typeName: "metasrv.v1.SessionRenew",
    lock: 0,
    key: noBytes,
    ttlMs: 0n,
    mode: LockMode.UNSPECIFIED,
  };
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    switch (tag) {
      case tagOf(1, varint):
        renew.lock = reader.uint32();
        break;
      case tagOf(2, bytes):
        renew.key = reader.bytes();
        break;
      case tagOf(3, varint):
        renew.ttlMs = reader.int64();
        break;
      case tagOf(4, varint):
        renew.mode = modeOf(reader.int32());
        break;
      case tagOf(5, bytes):
        renew.value = reader.bytes();
        break;
      default:
        reader.skip(tag, 5);
    }
  }
  return renew;
}

/** Writes a `SessionResponse`. */
export function writeSessionResponse(writer: FieldWriter, { events, terms, draining }: SessionResponse): void {
  for (const event of events) {
    writer.nested(1, event, writeEvent);
  }
  if (terms !== undefined) {
    writer.nested(2, terms, writeTerms);
  }
  if (draining) {
    writer.bool(3, true);
  }
}

/** Reads a `SessionResponse`. */
export function readSessionResponse(reader: FieldReader): SessionResponse {
  const response: SessionResponse = { $typeName: "metasrv.v1.SessionResponse", events: [], draining: false };
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    switch (tag) {
      case tagOf(1, bytes):
        response.events.push(reader.nested(readEvent));
        break;
      case tagOf(2, bytes):
        response.terms = reader.nested(readTerms, response.terms);
        break;
      case tagOf(3, varint):
        response.draining = reader.bool();
        break;
      default:
        reader.skip(tag, 3);
    }
  }
  return response;
}

function writeEvent(writer: FieldWriter, { number, event, forced }: SessionEvent): void {
  if (number !== 0) {
    writer.uint(1, number);
  }
  switch (event.case) {
    case "granted":
      writer.nested(2, event.value, writeGrant);
      break;
    case "refused":
      writer.nested(3, event.value, writeRefusal);
      break;
    case "unlocked":
      writer.nested(4, event.value, writeUnlockResponse);
      break;
    case "renewed":
      writer.nested(5, event.value, writeRenewResponse);
      break;
    case "failed":
      writer.nested(6, event.value, writeFailure);
      break;
    case "lost":
      writer.bigint(7, BigInt(event.value));
      break;
    case undefined:
      break;
  }
  if (forced !== undefined) {
    writer.nested(8, forced, writeForcedBy);
  }
}

function writeForcedBy(writer: FieldWriter, { actor, reason }: ForcedBy): void {
  if (actor !== "") {
    writer.text(1, actor);
  }
  if (reason !== "") {
    writer.text(2, reason);
  }
}

function readForcedBy(reader: FieldReader): ForcedBy {
  const forced: ForcedBy = { $typeName: "metasrv.v1.ForcedBy", actor: "", reason: "" };
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === tagOf(1, bytes)) {
      forced.actor = reader.text();
    } else if (tag === tagOf(2, bytes)) {
      forced.reason = reader.text();
    } else {
      reader.skip(tag, 2);
    }
  }
  return forced;
}

function readEvent(reader: FieldReader): SessionEvent {
  let number = 0;
  let event: SessionEvent["event"] = { case: undefined };
  let forced: ForcedBy | undefined;
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    switch (tag) {
      case tagOf(1, varint):
        number = reader.uint32();
        break;
      case tagOf(2, bytes):
        event = { case: "granted", value: reader.nested(readGrant, event.case) };
        break;
      case tagOf(3, bytes):
        event = { case: "refused", value: reader.nested(readRefusal, event.case) };
        break;
      case tagOf(4, bytes):
        event = { case: "unlocked", value: reader.nested(readUnlockResponse, event.case) };
        break;
      case tagOf(5, bytes):
        event = { case: "renewed", value: reader.nested(readRenewResponse, event.case) };
        break;
      case tagOf(6, bytes):
        event = { case: "failed", value: reader.nested(readFailure, event.case) };
        break;
      case tagOf(7, varint):
        event = { case: "lost", value: lossOf(reader.int32()) };
        break;
      case tagOf(8, bytes):
        forced = reader.nested(readForcedBy, forced);
        break;
      default:
        reader.skip(tag, 8);
    }
  }
  return { $typeName: "metasrv.v1.SessionEvent", number, event, ...(forced !== undefined && { forced }) };
}

function writeTerms(writer: FieldWriter, { heartbeatMs, timeoutMs, maxCommands }: SessionTerms): void {
  if (heartbeatMs !== 0n) {
    writer.bigint(1, heartbeatMs);
  }
  if (timeoutMs !== 0n) {
    writer.bigint(2, timeoutMs);
  }
  if (maxCommands !== 0) {
    writer.uint(3, maxCommands);
  }
}

function readTerms(reader: FieldReader): SessionTerms {
  const terms: SessionTerms = {
    $typeName: "metasrv.v1.SessionTerms",
    heartbeatMs: 0n,
    timeoutMs: 0n,
    maxCommands: 0,
  };
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    switch (tag) {
      case tagOf(1, varint):
        terms.heartbeatMs = reader.int64();
        break;
      case tagOf(2, varint):
        terms.timeoutMs = reader.int64();
        break;
      case tagOf(3, varint):
        terms.maxCommands = reader.uint32();
        break;
      default:
        reader.skip(tag, 3);
    }
  }
  return terms;
}

function writeFailure(writer: FieldWriter, { code, message, detail }: SessionFailure): void {
  if (code !== 0) {
    writer.uint(1, code);
  }
  if (message !== "") {
    writer.text(2, message);
  }
  if (detail !== undefined) {
    writer.nested(3, detail, writeErrorDetail);
  }
}

function readFailure(reader: FieldReader): SessionFailure {
  const failure: SessionFailure = { $typeName: "metasrv.v1.SessionFailure", code: 0, message: "" };
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    switch (tag) {
      case tagOf(1, varint):
        failure.code = reader.uint32();
        break;
      case tagOf(2, bytes):
        failure.message = reader.text();
        break;
      case tagOf(3, bytes):
        failure.detail = reader.nested(readErrorDetail, failure.detail);
        break;
      default:
        reader.skip(tag, 3);
    }
  }
  return failure;
}

function writeErrorDetail(writer: FieldWriter, { reason, state, forced, retryAfterMs }: ErrorDetail): void {
  if (reason !== Reason.UNSPECIFIED) {
    writer.bigint(1, BigInt(reason));
  }
  if (state !== undefined) {
    writer.nested(2, state, writeLockState);
  }
  if (forced !== undefined) {
    writer.nested(3, forced, writeForcedBy);
  }
  if (retryAfterMs !== 0n) {
    writer.bigint(4, retryAfterMs);
  }
}

function readErrorDetail(reader: FieldReader): ErrorDetail {
  const detail: ErrorDetail = {
    $typeName: "metasrv.v1.ErrorDetail",
    reason: Reason.UNSPECIFIED,
    retryAfterMs: 0n,
  };
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    switch (tag) {
      case tagOf(1, varint):
        detail.reason = reasonOf(reader.int32());
        break;
      case tagOf(2, bytes):
        detail.state = reader.nested(readLockState, detail.state);
        break;
      case tagOf(3, bytes):
        detail.forced = reader.nested(readForcedBy, detail.forced);
        break;
      case tagOf(4, varint):
        detail.retryAfterMs = reader.int64();
        break;
      default:
        reader.skip(tag, 4);
    }
  }
  return detail;
}

// Enums are open: a value that only newer programs know is kept.

function lossOf(value: unknown): LossReason {
  return value as LossReason;
}

function reasonOf(value: unknown): Reason {
  return value as Reason;
}
