import {
  type Grant,
  type HeldLock,
  type Holder,
  LockMode,
  type LockPart,
  type LockRequest,
  type LockResponse,
  type LockState,
  type LockSummary,
  type PartGrant,
  type Refusal,
  type RenewRequest,
  type RenewResponse,
  type UnlockRequest,
  type UnlockResponse,
} from "@metasrv/proto/metasrv/v1";
import { type FieldReader, noBytes, tagOf, wireType } from "./field-reader.js";
import type { FieldWriter } from "./field-writer.js";
import { fillRandomly } from "./platform.js";

/** Bytes in a ticket id, by which a request is known again when it is repeated. */
export const ticketIdLength = 16;

const idsInPool = 256;

/**
 * Makes a source of ticket ids. It takes random bytes for many ids at a time: asking the operating system costs as much
 * for one id as for all of them, and more than everything else that a request for a lock does.
 *
 * @param fill - fills the bytes with random ones; by default from the operating system
 */
export function createTicketIds(fill: (bytes: Uint8Array) => void = fillRandomly): () => Uint8Array {
  const pool = new Uint8Array(idsInPool * ticketIdLength);
  let used = pool.length;
  return () => {
    if (used === pool.length) {
      fill(pool);
      used = 0;
    }
    used += ticketIdLength;
    // A copy: a view would keep the whole pool in memory as long as one of its ids is used.
    return pool.slice(used - ticketIdLength, used);
  };
}

/** 128 random bits that were never given out before. */
export const newTicketId: () => Uint8Array = createTicketIds();

// The messages of the unary calls, field by field as in lock.proto, as far as somebody writes or reads them by hand. Fields that
// are 0 or empty are not written, as in proto3.

const { varint, fixed64, bytes } = wireType;

/** Writes a `LockRequest`. */
export function writeLockRequest(writer: FieldWriter, request: LockRequest): void {
  const { lock, ticketId, mode, ttlMs, waitMs, owner, attempt, permits, limit, parts, labels, within, value } = request;
  const { traceparent } = request;
  writeName(writer, lock, 1);
  if (ticketId.length > 0) {
    writer.bytes(3, ticketId);
  }
  if (mode !== LockMode.UNSPECIFIED) {
    writer.bigint(4, BigInt(mode));
  }
  if (ttlMs !== 0n) {
    writer.bigint(5, ttlMs);
  }
  if (waitMs !== undefined) {
    writer.bigint(6, waitMs);
  }
  if (owner !== "") {
    writer.text(7, owner);
  }
  if (attempt !== 0) {
    writer.uint(8, attempt);
  }
  if (permits !== 0) {
    writer.uint(9, permits);
  }
  if (limit !== 0) {
    writer.uint(10, limit);
  }
  for (const part of parts) {
    writer.nested(11, part, writePart);
  }
  for (const pair of Object.entries(labels)) {
    writer.nested(12, pair, writeLabel);
  }
  for (const held of within) {
    writer.nested(13, held, writeHeld);
  }
  if (value.length > 0) {
    writer.bytes(14, value);
  }
  if (traceparent !== undefined) {
    writer.text(15, traceparent);
  }
}

/** How a lock is named: by a text or by bytes, in two fields that follow each other. */
type NamedLock = LockRequest["lock"];

function writeName(writer: FieldWriter, lock: NamedLock, field: number): void {
  if (lock.case === "name") {
    writer.text(field, lock.value);
  } else if (lock.case === "nameBytes") {
    writer.bytes(field + 1, lock.value);
  }
}

/** Reads a `LockRequest`. Its bytes are views of the bytes that are read. */
export function readLockRequest(reader: FieldReader): LockRequest {
  const request: LockRequest = {
    $typeName: "metasrv.v1.LockRequest",
    lock: { case: undefined },
    ticketId: noBytes,
    mode: LockMode.UNSPECIFIED,
    ttlMs: 0n,
    owner: "",
    attempt: 0,
    permits: 0,
    limit: 0,
    parts: [],
    labels: {},
    within: [],
    value: noBytes,
  };
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    switch (tag) {
      case tagOf(1, bytes):
        request.lock = { case: "name", value: reader.text() };
        break;
      case tagOf(2, bytes):
        request.lock = { case: "nameBytes", value: reader.bytes() };
        break;
      case tagOf(3, bytes):
        request.ticketId = reader.bytes();
        break;
      case tagOf(4, varint):
        request.mode = modeOf(reader.int32());
        break;
      case tagOf(5, varint):
        request.ttlMs = reader.int64();
        break;
      case tagOf(6, varint):
        request.waitMs = reader.int64();
        break;
      case tagOf(7, bytes):
        request.owner = reader.text();
        break;
      case tagOf(8, varint):
        request.attempt = reader.uint32();
        break;
      case tagOf(9, varint):
        request.permits = reader.uint32();
        break;
      case tagOf(10, varint):
        request.limit = reader.uint32();
        break;
      case tagOf(11, bytes):
        request.parts.push(reader.nested(readPart));
        break;
      case tagOf(12, bytes): {
        const [key, text] = reader.nested(readLabel);
        request.labels[key] = text;
        break;
      }
      case tagOf(13, bytes):
        request.within.push(reader.nested(readHeld));
        break;
      case tagOf(14, bytes):
        request.value = reader.bytes();
        break;
      case tagOf(15, bytes):
        request.traceparent = reader.text();
        break;
      default:
        reader.skip(tag, 15);
    }
  }
  return request;
}

function writePart(writer: FieldWriter, { lock, mode, permits, limit }: LockPart): void {
  writeName(writer, lock, 1);
  if (mode !== LockMode.UNSPECIFIED) {
    writer.bigint(3, BigInt(mode));
  }
  if (permits !== 0) {
    writer.uint(4, permits);
  }
  if (limit !== 0) {
    writer.uint(5, limit);
  }
}

function readPart(reader: FieldReader): LockPart {
  const part: LockPart = {
    $typeName: "metasrv.v1.LockPart",
    lock: { case: undefined },
    mode: LockMode.UNSPECIFIED,
    permits: 0,
    limit: 0,
  };
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    switch (tag) {
      case tagOf(1, bytes):
        part.lock = { case: "name", value: reader.text() };
        break;
      case tagOf(2, bytes):
        part.lock = { case: "nameBytes", value: reader.bytes() };
        break;
      case tagOf(3, varint):
        part.mode = modeOf(reader.int32());
        break;
      case tagOf(4, varint):
        part.permits = reader.uint32();
        break;
      case tagOf(5, varint):
        part.limit = reader.uint32();
        break;
      default:
        reader.skip(tag, 5);
    }
  }
  return part;
}

function writeLabel(writer: FieldWriter, [key, text]: readonly [string, string]): void {
  writer.text(1, key);
  writer.text(2, text);
}

/** An entry of a map has two fields and never gets more. With another one, protobuf-es decides. */
function readLabel(reader: FieldReader): readonly [string, string] {
  let key = "";
  let text = "";
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === tagOf(1, bytes)) {
      key = reader.text();
    } else if (tag === tagOf(2, bytes)) {
      text = reader.text();
    } else {
      reader.skip(tag, tag >>> 3);
    }
  }
  return [key, text];
}

function writeHeld(writer: FieldWriter, { lock, token }: HeldLock): void {
  writeName(writer, lock, 1);
  if (token !== 0n) {
    writer.bigint(3, token);
  }
}

function readHeld(reader: FieldReader): HeldLock {
  const held: HeldLock = { $typeName: "metasrv.v1.HeldLock", lock: { case: undefined }, token: 0n };
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    switch (tag) {
      case tagOf(1, bytes):
        held.lock = { case: "name", value: reader.text() };
        break;
      case tagOf(2, bytes):
        held.lock = { case: "nameBytes", value: reader.bytes() };
        break;
      case tagOf(3, varint):
        held.token = reader.bigint();
        break;
      default:
        reader.skip(tag, 3);
    }
  }
  return held;
}

/** Enums are open: a mode that only newer programs know is kept. */
export function modeOf(value: unknown): LockMode {
  return value as LockMode;
}

/** Writes a `LockResponse`. */
export function writeLockResponse(writer: FieldWriter, { outcome }: LockResponse): void {
  if (outcome.case === "granted") {
    writer.nested(1, outcome.value, writeGrant);
  } else if (outcome.case === "refused") {
    writer.nested(2, outcome.value, writeRefusal);
  }
}

/** Writes a `Grant`. */
export function writeGrant(writer: FieldWriter, grant: Grant): void {
  const { key, token, ttlMs, waitedMs, floor, limit, parts, unblockedBy } = grant;
  if (key.length > 0) {
    writer.bytes(1, key);
  }
  if (token !== 0n) {
    writer.bigint(2, token);
  }
  if (ttlMs !== 0n) {
    writer.bigint(3, ttlMs);
  }
  // A negative 0 is another double than 0.
  if (!Object.is(waitedMs, 0)) {
    writer.double(4, waitedMs);
  }
  if (floor !== 0n) {
    writer.bigint(5, floor);
  }
  if (limit !== 0) {
    writer.uint(6, limit);
  }
  for (const part of parts) {
    writer.nested(7, part, writePartGrant);
  }
  if (unblockedBy !== undefined) {
    writer.text(8, unblockedBy);
  }
}

/** Reads a `Grant`. Its key is a copy: a view would keep the whole message in memory as long as the lock is held. */
export function readGrant(reader: FieldReader): Grant {
  const grant: Grant = {
    $typeName: "metasrv.v1.Grant",
    key: noBytes,
    token: 0n,
    ttlMs: 0n,
    waitedMs: 0,
    floor: 0n,
    limit: 0,
    parts: [],
  };
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    switch (tag) {
      case tagOf(1, bytes):
        grant.key = new Uint8Array(reader.bytes());
        break;
      case tagOf(2, varint):
        grant.token = reader.bigint();
        break;
      case tagOf(3, varint):
        grant.ttlMs = reader.int64();
        break;
      case tagOf(4, fixed64):
        grant.waitedMs = reader.double();
        break;
      case tagOf(5, varint):
        grant.floor = reader.bigint();
        break;
      case tagOf(6, varint):
        grant.limit = reader.uint32();
        break;
      case tagOf(7, bytes):
        grant.parts.push(reader.nested(readPartGrant));
        break;
      case tagOf(8, bytes):
        grant.unblockedBy = reader.text();
        break;
      default:
        reader.skip(tag, 8);
    }
  }
  return grant;
}

function writePartGrant(writer: FieldWriter, { floor, limit }: PartGrant): void {
  if (floor !== 0n) {
    writer.bigint(1, floor);
  }
  if (limit !== 0) {
    writer.uint(2, limit);
  }
}

function readPartGrant(reader: FieldReader): PartGrant {
  const part: PartGrant = { $typeName: "metasrv.v1.PartGrant", floor: 0n, limit: 0 };
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === tagOf(1, varint)) {
      part.floor = reader.bigint();
    } else if (tag === tagOf(2, varint)) {
      part.limit = reader.uint32();
    } else {
      reader.skip(tag, 2);
    }
  }
  return part;
}

/** Writes a `Refusal`. */
export function writeRefusal(writer: FieldWriter, { state }: Refusal): void {
  if (state !== undefined) {
    writer.nested(1, state, writeLockState);
  }
}

/** Reads a `Refusal`. */
export function readRefusal(reader: FieldReader): Refusal {
  const refusal: Refusal = { $typeName: "metasrv.v1.Refusal" };
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === tagOf(1, bytes)) {
      refusal.state = reader.nested(readLockState, refusal.state);
    } else {
      reader.skip(tag, 1);
    }
  }
  return refusal;
}

/** Writes a `LockState`. */
export function writeLockState(writer: FieldWriter, state: LockState): void {
  const { holderOwner, holderToken, waiters, holders, holderCount, permitsHeld, limit, position, lock } = state;
  if (holderOwner !== "") {
    writer.text(1, holderOwner);
  }
  if (holderToken !== 0n) {
    writer.bigint(2, holderToken);
  }
  if (waiters !== 0) {
    writer.uint(3, waiters);
  }
  for (const holder of holders) {
    writer.nested(4, holder, writeHolder);
  }
  if (holderCount !== 0) {
    writer.uint(5, holderCount);
  }
  if (permitsHeld !== 0) {
    writer.uint(6, permitsHeld);
  }
  if (limit !== 0) {
    writer.uint(7, limit);
  }
  if (position !== 0) {
    writer.uint(8, position);
  }
  writeName(writer, lock, 9);
}

/** Writes a `LockSummary`. */
export function writeLockSummary(writer: FieldWriter, summary: LockSummary): void {
  const { lock, state, mode, oldestWaitMs } = summary;
  writeName(writer, lock, 1);
  if (state !== undefined) {
    writer.nested(3, state, writeLockState);
  }
  if (mode !== LockMode.UNSPECIFIED) {
    writer.bigint(4, BigInt(mode));
  }
  if (oldestWaitMs !== 0n) {
    writer.bigint(5, oldestWaitMs);
  }
}

/** Reads a `LockState`. */
export function readLockState(reader: FieldReader): LockState {
  const state: LockState = {
    $typeName: "metasrv.v1.LockState",
    holderOwner: "",
    holderToken: 0n,
    waiters: 0,
    holders: [],
    holderCount: 0,
    permitsHeld: 0,
    limit: 0,
    position: 0,
    lock: { case: undefined },
  };
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    switch (tag) {
      case tagOf(1, bytes):
        state.holderOwner = reader.text();
        break;
      case tagOf(2, varint):
        state.holderToken = reader.bigint();
        break;
      case tagOf(3, varint):
        state.waiters = reader.uint32();
        break;
      case tagOf(4, bytes):
        state.holders.push(reader.nested(readHolder));
        break;
      case tagOf(5, varint):
        state.holderCount = reader.uint32();
        break;
      case tagOf(6, varint):
        state.permitsHeld = reader.uint32();
        break;
      case tagOf(7, varint):
        state.limit = reader.uint32();
        break;
      case tagOf(8, varint):
        state.position = reader.uint32();
        break;
      case tagOf(9, bytes):
        state.lock = { case: "name", value: reader.text() };
        break;
      case tagOf(10, bytes):
        state.lock = { case: "nameBytes", value: reader.bytes() };
        break;
      default:
        reader.skip(tag, 10);
    }
  }
  return state;
}

/** Writes a `Holder`. */
function writeHolder(writer: FieldWriter, { owner, token, permits, heldMs, reserves }: Holder): void {
  if (owner !== "") {
    writer.text(1, owner);
  }
  if (token !== 0n) {
    writer.bigint(2, token);
  }
  if (permits !== 0) {
    writer.uint(3, permits);
  }
  if (heldMs !== 0n) {
    writer.bigint(4, heldMs);
  }
  if (reserves) {
    writer.bool(5, true);
  }
}

/** Reads a `Holder`. */
function readHolder(reader: FieldReader): Holder {
  const holder: Holder = {
    $typeName: "metasrv.v1.Holder",
    owner: "",
    token: 0n,
    permits: 0,
    heldMs: 0n,
    reserves: false,
  };
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    switch (tag) {
      case tagOf(1, bytes):
        holder.owner = reader.text();
        break;
      case tagOf(2, varint):
        holder.token = reader.bigint();
        break;
      case tagOf(3, varint):
        holder.permits = reader.uint32();
        break;
      case tagOf(4, varint):
        holder.heldMs = reader.int64();
        break;
      case tagOf(5, varint):
        holder.reserves = reader.bool();
        break;
      default:
        reader.skip(tag, 5);
    }
  }
  return holder;
}

/** Reads an `UnlockRequest`. Its key is a view of the bytes that are read. */
export function readUnlockRequest(reader: FieldReader): UnlockRequest {
  const request: UnlockRequest = { $typeName: "metasrv.v1.UnlockRequest", key: noBytes };
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === tagOf(1, bytes)) {
      request.key = reader.bytes();
    } else {
      reader.skip(tag, 1);
    }
  }
  return request;
}

/** Writes an `UnlockResponse`, which is empty. */
export function writeUnlockResponse(): void {
  // It has no fields.
}

/** Reads an `UnlockResponse`. */
export function readUnlockResponse(reader: FieldReader): UnlockResponse {
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    reader.skip(tag);
  }
  return { $typeName: "metasrv.v1.UnlockResponse" };
}

/** Reads a `RenewRequest`. Its key is a view of the bytes that are read. */
export function readRenewRequest(reader: FieldReader): RenewRequest {
  const request: RenewRequest = {
    $typeName: "metasrv.v1.RenewRequest",
    key: noBytes,
    ttlMs: 0n,
    mode: LockMode.UNSPECIFIED,
  };
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    switch (tag) {
      case tagOf(1, bytes):
        request.key = reader.bytes();
        break;
      case tagOf(2, varint):
        request.ttlMs = reader.int64();
        break;
      case tagOf(3, varint):
        request.mode = modeOf(reader.int32());
        break;
      case tagOf(4, bytes):
        request.value = reader.bytes();
        break;
      default:
        reader.skip(tag, 4);
    }
  }
  return request;
}

/** Writes a `RenewResponse`. */
export function writeRenewResponse(writer: FieldWriter, { ttlMs }: RenewResponse): void {
  if (ttlMs !== 0n) {
    writer.bigint(1, ttlMs);
  }
}

/** Reads a `RenewResponse`. */
export function readRenewResponse(reader: FieldReader): RenewResponse {
  const response: RenewResponse = { $typeName: "metasrv.v1.RenewResponse", ttlMs: 0n };
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === tagOf(1, varint)) {
      response.ttlMs = reader.int64();
    } else {
      reader.skip(tag, 1);
    }
  }
  return response;
}
