import { FieldReader, FieldWriter } from "@metasrv/wire";
import type {
  EtcdCompare,
  EtcdEvent,
  EtcdHeader,
  EtcdKeyValue,
  EtcdOp,
  EtcdPage,
  EtcdRange,
  EtcdTxn,
  EtcdTxnAnswer,
  EtcdWatchRange,
  EtcdWatchResponse,
} from "./etcd-client.js";

/*
 * The two calls of etcd that carry the load, `KV/Txn` and `Watch/Watch`, and `KV/Range`, written and read without a detour:
 * to make objects of every message by reflection takes longer than etcd takes for the transaction. Only what this log sends
 * and looks at is here. Field numbers are those of etcd's rpc.proto and kv.proto.
 */

const varint = 0;
const lengthDelimited = 2;

const compareTargets = { create: 1, mod: 2 } as const;
const compareRevisions = { create: 5, mod: 6 } as const;
const compareResults = { equal: 0, greater: 1, less: 2 } as const;
const deleteEvent = 1;

/** One for all: each message is taken out of it before the next is begun. */
const writer = new FieldWriter();
/** For what a message does not say. */
const noBytes = Buffer.alloc(0);
const noHeader: EtcdHeader = { clusterId: 0n, revision: 0n };
const noKeyValue: EtcdKeyValue = { key: noBytes, value: noBytes, createRevision: 0n, modRevision: 0n, lease: 0n };

/** Writes a `TxnRequest`. */
export function encodeTxn({ compare, success, failure }: EtcdTxn): Buffer {
  for (const condition of compare) {
    writeCompare(condition);
  }
  for (const op of success) {
    writeOp(2, op);
  }
  for (const op of failure) {
    writeOp(3, op);
  }
  return writer.take();
}

/** Writes a `RangeRequest`; without a revision, of what there is now. */
export function encodeRange(range: EtcdRange & { readonly revision?: bigint }): Buffer {
  writeRangeOp(range);
  if (range.revision !== undefined) {
    writer.bigint(4, range.revision);
  }
  return writer.take();
}

/** Writes the `WatchRequest` that makes a watch. */
export function encodeWatchCreate({ key, end, startRevision }: EtcdWatchRange): Buffer {
  const start = writer.open(1);
  writer.bytes(1, key);
  writer.bytes(2, end);
  writer.bigint(3, startRevision);
  writer.close(start);
  return writer.take();
}

/** Writes the `WatchRequest` that asks a watch how far it is. */
export function encodeWatchProgress(): Buffer {
  writer.close(writer.open(3));
  return writer.take();
}

/**
 * Reads a `TxnResponse`; keys and values are views of it.
 *
 * @throws MalformedMessageError
 */
export function decodeTxnAnswer(message: Uint8Array): EtcdTxnAnswer {
  const reader = new FieldReader(message);
  let header = noHeader;
  let succeeded = false;
  const read: (readonly EtcdKeyValue[])[] = [];
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    switch (tag) {
      case (1 << 3) | lengthDelimited:
        header = readHeader(reader);
        break;
      case (2 << 3) | varint:
        succeeded = reader.bool();
        break;
      case (3 << 3) | lengthDelimited:
        readOpAnswer(reader, read);
        break;
      default:
        reader.skip(tag);
    }
  }
  return { header, succeeded, read };
}

/**
 * Reads a `RangeResponse`; keys and values are views of it.
 *
 * @throws MalformedMessageError
 */
export function decodePage(message: Uint8Array): EtcdPage {
  return readPage(new FieldReader(message));
}

/**
 * Reads a `WatchResponse`; keys and values are views of it.
 *
 * @throws MalformedMessageError
 */
export function decodeWatchResponse(message: Uint8Array): EtcdWatchResponse {
  const reader = new FieldReader(message);
  let header = noHeader;
  let created = false;
  let canceled = false;
  let cancelReason = "";
  let compactRevision = 0n;
  const events: EtcdEvent[] = [];
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    switch (tag) {
      case (1 << 3) | lengthDelimited:
        header = readHeader(reader);
        break;
      case (3 << 3) | varint:
        created = reader.bool();
        break;
      case (4 << 3) | varint:
        canceled = reader.bool();
        break;
      case (5 << 3) | varint:
        compactRevision = reader.int64();
        break;
      case (6 << 3) | lengthDelimited:
        cancelReason = reader.text();
        break;
      case (11 << 3) | lengthDelimited:
        events.push(readEvent(reader));
        break;
      default:
        reader.skip(tag);
    }
  }
  return { header, created, canceled, cancelReason, compactRevision, events };
}

function writeCompare({ key, target, result, revision }: EtcdCompare): void {
  const start = writer.open(1);
  writer.uint(1, compareResults[result]);
  writer.uint(2, compareTargets[target]);
  writer.bytes(3, key);
  writer.bigint(compareRevisions[target], revision);
  writer.close(start);
}

/** @param branch - the field of the branch to which it belongs */
function writeOp(branch: number, op: EtcdOp): void {
  const start = writer.open(branch);
  switch (op.kind) {
    case "range": {
      const range = writer.open(1);
      writeRangeOp(op);
      writer.close(range);
      break;
    }
    case "put": {
      const put = writer.open(2);
      writer.bytes(1, op.key);
      writer.bytes(2, op.value);
      writer.close(put);
      break;
    }
    case "delete": {
      const range = writer.open(3);
      writeRange(op.key, op.end);
      writer.close(range);
    }
  }
  writer.close(start);
}

function writeRangeOp({ key, end, limit, keysOnly }: EtcdRange): void {
  writeRange(key, end);
  if (limit !== undefined) {
    writer.uint(3, limit);
  }
  if (keysOnly !== undefined) {
    writer.bool(8, keysOnly);
  }
}

function writeRange(key: Buffer, end: Buffer | undefined): void {
  writer.bytes(1, key);
  if (end !== undefined) {
    writer.bytes(2, end);
  }
}

/** Of the answers to single ops, only what a range found is of interest. */
function readOpAnswer(reader: FieldReader, read: (readonly EtcdKeyValue[])[]): void {
  const end = reader.enter();
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === ((1 << 3) | lengthDelimited)) {
      const page = reader.enter();
      read.push(readPage(reader).kvs);
      reader.leave(page);
    } else {
      reader.skip(tag);
    }
  }
  reader.leave(end);
}

function readPage(reader: FieldReader): EtcdPage {
  let header = noHeader;
  let more = false;
  const kvs: EtcdKeyValue[] = [];
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    switch (tag) {
      case (1 << 3) | lengthDelimited:
        header = readHeader(reader);
        break;
      case (2 << 3) | lengthDelimited:
        kvs.push(readKeyValue(reader));
        break;
      case (3 << 3) | varint:
        more = reader.bool();
        break;
      default:
        reader.skip(tag);
    }
  }
  return { header, kvs, more };
}

function readEvent(reader: FieldReader): EtcdEvent {
  let kind: EtcdEvent["kind"] = "put";
  let kv = noKeyValue;
  const end = reader.enter();
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    switch (tag) {
      case (1 << 3) | varint:
        kind = reader.uint32() === deleteEvent ? "delete" : "put";
        break;
      case (2 << 3) | lengthDelimited:
        kv = readKeyValue(reader);
        break;
      default:
        reader.skip(tag);
    }
  }
  reader.leave(end);
  return { kind, kv };
}

function readKeyValue(reader: FieldReader): EtcdKeyValue {
  let { key, value, createRevision, modRevision, lease } = noKeyValue;
  const end = reader.enter();
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    switch (tag) {
      case (1 << 3) | lengthDelimited:
        key = reader.bytes();
        break;
      case (2 << 3) | varint:
        createRevision = reader.int64();
        break;
      case (3 << 3) | varint:
        modRevision = reader.int64();
        break;
      case (5 << 3) | lengthDelimited:
        value = reader.bytes();
        break;
      case (6 << 3) | varint:
        lease = reader.int64();
        break;
      default:
        reader.skip(tag);
    }
  }
  reader.leave(end);
  return { key, value, createRevision, modRevision, lease };
}

/** Reads a `ResponseHeader`, which is the field that comes next. */
export function readHeader(reader: FieldReader): EtcdHeader {
  let { clusterId, revision } = noHeader;
  const end = reader.enter();
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    switch (tag) {
      case (1 << 3) | varint:
        clusterId = reader.bigint();
        break;
      case (3 << 3) | varint:
        revision = reader.int64();
        break;
      default:
        reader.skip(tag);
    }
  }
  reader.leave(end);
  return { clusterId, revision };
}
