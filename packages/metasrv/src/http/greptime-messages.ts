import type * as greptime from "@metasrv/proto/greptime/v1/meta";
import { type FieldReader, type FieldWriter, noBytes, tagOf, wireType } from "@metasrv/wire";

// The messages of the original contract, field by field as in its lock.proto. Only this server reads and writes them.

const { varint, bytes } = wireType;

/** Reads a `greptime.v1.meta.LockRequest`. Skips its header, which has no meaning here. */
export function readGreptimeLockRequest(reader: FieldReader): greptime.LockRequest {
  const request: greptime.LockRequest = {
    $typeName: "greptime.v1.meta.LockRequest",
    name: noBytes,
    expireSecs: 0n,
  };
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    switch (tag) {
      case tagOf(1, bytes):
        reader.bytes();
        break;
      case tagOf(2, bytes):
        request.name = reader.bytes();
        break;
      case tagOf(3, varint):
        request.expireSecs = reader.int64();
        break;
      default:
        reader.skip(tag, 3);
    }
  }
  return request;
}

/** Reads a `greptime.v1.meta.UnlockRequest`. Skips its header, which has no meaning here. */
export function readGreptimeUnlockRequest(reader: FieldReader): greptime.UnlockRequest {
  const request: greptime.UnlockRequest = { $typeName: "greptime.v1.meta.UnlockRequest", key: noBytes };
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    switch (tag) {
      case tagOf(1, bytes):
        reader.bytes();
        break;
      case tagOf(2, bytes):
        request.key = reader.bytes();
        break;
      default:
        reader.skip(tag, 2);
    }
  }
  return request;
}

/** Writes a `greptime.v1.meta.LockResponse`, or an `UnlockResponse`, which has no key. */
export function writeGreptimeResponse(
  writer: FieldWriter,
  { header, key = noBytes }: Pick<greptime.LockResponse, "header"> & { readonly key?: Uint8Array },
): void {
  if (header !== undefined) {
    const start = writer.open(1);
    if (header.protocolVersion !== 0n) {
      writer.bigint(1, header.protocolVersion);
    }
    writer.close(start);
  }
  if (key.length > 0) {
    writer.bytes(2, key);
  }
}
