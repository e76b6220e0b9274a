import { FieldReader, FieldWriter } from "@metasrv/wire";
import type { EtcdHeader } from "./etcd-client.js";
import { readHeader } from "./etcd-wire.js";

/*
 * The calls of etcd that are made now and then, written and read as those that carry the load are. Field numbers are those of
 * etcd's rpc.proto.
 */

const varint = 0;
const lengthDelimited = 2;

const writer = new FieldWriter();

/** Writes a `PutRequest`. */
export function encodePut({
  key,
  value,
  lease,
}: {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly lease: bigint;
}): Buffer {
  writer.bytes(1, key);
  writer.bytes(2, value);
  writer.bigint(3, lease);
  return writer.take();
}

/** Writes a `LeaseGrantRequest`; etcd chooses the id. */
export function encodeLeaseGrant(ttlSeconds: number): Buffer {
  writer.uint(1, ttlSeconds);
  return writer.take();
}

/** Writes a `LeaseKeepAliveRequest` or a `LeaseRevokeRequest`. */
export function encodeLease(lease: bigint): Buffer {
  writer.bigint(1, lease);
  return writer.take();
}

/** Writes an `AuthenticateRequest`. */
export function encodeAuthenticate(username: string, password: string): Buffer {
  writer.text(1, username);
  writer.text(2, password);
  return writer.take();
}

/** Reads the header of an answer. @throws MalformedMessageError */
export function decodeHeader(message: Uint8Array): EtcdHeader {
  const reader = new FieldReader(message);
  let header: EtcdHeader = { clusterId: 0n, revision: 0n };
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === ((1 << 3) | lengthDelimited)) {
      header = readHeader(reader);
    } else {
      reader.skip(tag);
    }
  }
  return header;
}

/** Reads a `LeaseGrantResponse` or a `LeaseKeepAliveResponse`. @throws MalformedMessageError */
export function decodeLease(message: Uint8Array): { readonly lease: bigint; readonly ttlSeconds: number } {
  const reader = new FieldReader(message);
  let lease = 0n;
  let ttl = 0n;
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === ((2 << 3) | varint)) {
      lease = reader.int64();
    } else if (tag === ((3 << 3) | varint)) {
      ttl = reader.int64();
    } else {
      reader.skip(tag);
    }
  }
  return { lease, ttlSeconds: Number(ttl) };
}

/** Reads the size of the database, in bytes, from a `StatusResponse`. @throws MalformedMessageError */
export function decodeDatabaseBytes(message: Uint8Array): number {
  const reader = new FieldReader(message);
  let bytes = 0n;
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === ((3 << 3) | varint)) {
      bytes = reader.int64();
    } else {
      reader.skip(tag);
    }
  }
  return Number(bytes);
}

/** Reads the token from an `AuthenticateResponse`. @throws MalformedMessageError */
export function decodeToken(message: Uint8Array): string {
  const reader = new FieldReader(message);
  let token = "";
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === ((2 << 3) | lengthDelimited)) {
      token = reader.text();
    } else {
      reader.skip(tag);
    }
  }
  return token;
}
