import type * as greptime from "@metasrv/proto/greptime/v1/meta";
import {
  type Grant,
  LockMode,
  type LockRequest,
  type LockResponse,
  type LockState,
  type Refusal,
  type RenewRequest,
  type RenewResponse,
  type UnlockRequest,
} from "@metasrv/proto/metasrv/v1";
import {
  noBytes,
  type Reader,
  readInt64,
  readText,
  tag,
  unfamiliar,
  wireType,
  type Writer,
  writeBytes,
  writeInt64,
  writeText,
  writeUint32,
} from "./protobuf-fields.js";

// The messages of the unary calls, field by field as in the proto files.

const { varint, fixed64, bytes } = wireType;

const modes = new Map<number, LockMode>([
  [0, LockMode.UNSPECIFIED],
  [1, LockMode.EXCLUSIVE],
]);

/** Reads a `metasrv.v1.LockRequest`. */
export function readLockRequest(reader: Reader, end: number): LockRequest {
  const request: LockRequest = {
    $typeName: "metasrv.v1.LockRequest",
    lock: { case: undefined },
    ticketId: noBytes,
    mode: LockMode.UNSPECIFIED,
    ttlMs: 0n,
    owner: "",
    attempt: 0,
  };
  while (reader.pos < end) {
    switch (reader.uint32()) {
      case tag(1, bytes):
        request.lock = { case: "name", value: readText(reader) };
        break;
      case tag(2, bytes):
        request.lock = { case: "nameBytes", value: reader.bytes() };
        break;
      case tag(3, bytes):
        request.ticketId = reader.bytes();
        break;
      case tag(4, varint):
        request.mode = modeFrom(reader.int32());
        break;
      case tag(5, varint):
        request.ttlMs = readInt64(reader);
        break;
      case tag(6, varint):
        request.waitMs = readInt64(reader);
        break;
      case tag(7, bytes):
        request.owner = readText(reader);
        break;
      case tag(8, varint):
        request.attempt = reader.uint32();
        break;
      default:
        throw unfamiliar;
    }
  }
  return request;
}

function modeFrom(value: number): LockMode {
  const mode = modes.get(value);
  if (mode === undefined) {
    throw unfamiliar;
  }
  return mode;
}

/** Writes a `metasrv.v1.LockResponse`. */
export function writeLockResponse(writer: Writer, { outcome }: LockResponse): void {
  switch (outcome.case) {
    case "granted":
      writer.uint32(tag(1, bytes)).fork();
      writeGrant(writer, outcome.value);
      writer.ldelim();
      break;
    case "refused":
      writer.uint32(tag(2, bytes)).fork();
      writeRefusal(writer, outcome.value);
      writer.ldelim();
      break;
    case undefined:
      break;
  }
}

/** Writes a `metasrv.v1.Grant`. */
export function writeGrant(writer: Writer, { key, token, ttlMs, waitedMs }: Grant): void {
  writeBytes(writer, 1, key);
  writeInt64(writer, 2, token);
  writeInt64(writer, 3, ttlMs);
  if (!Object.is(waitedMs, 0)) {
    writer.uint32(tag(4, fixed64)).double(waitedMs);
  }
}

/** Writes a `metasrv.v1.Refusal`. */
export function writeRefusal(writer: Writer, { state }: Refusal): void {
  if (state !== undefined) {
    writer.uint32(tag(1, bytes)).fork();
    writeLockState(writer, state);
    writer.ldelim();
  }
}

/** Writes a `metasrv.v1.LockState`. */
export function writeLockState(writer: Writer, { holderOwner, holderToken, waiters }: LockState): void {
  writeText(writer, 1, holderOwner);
  writeInt64(writer, 2, holderToken);
  writeUint32(writer, 3, waiters);
}

/** Reads a `metasrv.v1.UnlockRequest`. */
export function readUnlockRequest(reader: Reader, end: number): UnlockRequest {
  const request: UnlockRequest = { $typeName: "metasrv.v1.UnlockRequest", key: noBytes };
  while (reader.pos < end) {
    if (reader.uint32() !== tag(1, bytes)) {
      throw unfamiliar;
    }
    request.key = reader.bytes();
  }
  return request;
}

/** Reads a `metasrv.v1.RenewRequest`. */
export function readRenewRequest(reader: Reader, end: number): RenewRequest {
  const request: RenewRequest = { $typeName: "metasrv.v1.RenewRequest", key: noBytes, ttlMs: 0n };
  while (reader.pos < end) {
    switch (reader.uint32()) {
      case tag(1, bytes):
        request.key = reader.bytes();
        break;
      case tag(2, varint):
        request.ttlMs = readInt64(reader);
        break;
      default:
        throw unfamiliar;
    }
  }
  return request;
}

/** Writes a `metasrv.v1.RenewResponse`. */
export function writeRenewResponse(writer: Writer, { ttlMs }: RenewResponse): void {
  writeInt64(writer, 1, ttlMs);
}

/** Reads a `greptime.v1.meta.LockRequest` but for its header, which means nothing here. */
export function readGreptimeLockRequest(reader: Reader, end: number): greptime.LockRequest {
  const request: greptime.LockRequest = {
    $typeName: "greptime.v1.meta.LockRequest",
    name: noBytes,
    expireSecs: 0n,
  };
  while (reader.pos < end) {
    switch (reader.uint32()) {
      case tag(1, bytes):
        reader.skip(reader.uint32());
        break;
      case tag(2, bytes):
        request.name = reader.bytes();
        break;
      case tag(3, varint):
        request.expireSecs = readInt64(reader);
        break;
      default:
        throw unfamiliar;
    }
  }
  return request;
}

/** Reads a `greptime.v1.meta.UnlockRequest` but for its header, which means nothing here. */
export function readGreptimeUnlockRequest(reader: Reader, end: number): greptime.UnlockRequest {
  const request: greptime.UnlockRequest = { $typeName: "greptime.v1.meta.UnlockRequest", key: noBytes };
  while (reader.pos < end) {
    switch (reader.uint32()) {
      case tag(1, bytes):
        reader.skip(reader.uint32());
        break;
      case tag(2, bytes):
        request.key = reader.bytes();
        break;
      default:
        throw unfamiliar;
    }
  }
  return request;
}

/** Writes a `greptime.v1.meta.LockResponse` or `UnlockResponse`, of which only the former has a key. */
export function writeGreptimeResponse(
  writer: Writer,
  { header, key = noBytes }: Pick<greptime.LockResponse, "header"> & { readonly key?: Uint8Array },
): void {
  if (header !== undefined) {
    writer.uint32(tag(1, bytes)).fork();
    writeInt64(writer, 1, header.protocolVersion);
    writer.ldelim();
  }
  writeBytes(writer, 2, key);
}
