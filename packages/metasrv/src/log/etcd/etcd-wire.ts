import type {
  ICompare,
  IEvent,
  IKeyValue,
  IRequestOp,
  ITxnRequest,
  ITxnResponse,
  IWatchRequest,
  IWatchResponse,
} from "etcd3";
import protobuf from "protobufjs/minimal.js";

/*
 * The two calls of etcd that carry the load, `KV/Txn` and `Watch/Watch`, written and read without a detour: etcd3 makes
 * objects of every message by reflection, which takes longer than etcd takes for the transaction. Only what this log
 * sends and looks at is here. Field numbers are those of etcd's rpc.proto and kv.proto.
 */

type Reader = protobuf.Reader;
type Writer = protobuf.Writer;

const varint = 0;
const bytes = 2;
const tag = (field: number, type: number) => (field << 3) | type;

const compareTargets = { Version: 0, Create: 1, Mod: 2, Value: 3, Lease: 4 } as const;
const compareResults = { Equal: 0, Greater: 1, Less: 2, NotEqual: 3 } as const;

/** Writes a transaction of puts, deletes and reads of single keys, plain or nested. */
export function encodeTxn(request: ITxnRequest): Buffer {
  const writer = protobuf.Writer.create();
  writeTxn(writer, request);
  const { buffer, byteOffset, byteLength } = writer.finish();
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** Reads the answer to a transaction; without {@link ITxnResponse.header} but for the revision. */
export function decodeTxnResponse(message: Buffer): ITxnResponse {
  const reader = new protobuf.BufferReader(message);
  return readTxn(reader, reader.len);
}

/** Writes a request of a watch: to create one, or for its progress. */
export function encodeWatch({ create_request: create, progress_request: progress }: IWatchRequest): Buffer {
  const writer = protobuf.Writer.create();
  if (create !== undefined) {
    writer.uint32(tag(1, bytes)).fork();
    writeBytes(writer, 1, create.key);
    writeBytes(writer, 2, create.range_end);
    writeInt64(writer, 3, create.start_revision);
    writer.ldelim();
  }
  if (progress !== undefined) {
    writer.uint32(tag(3, bytes)).uint32(0);
  }
  const { buffer, byteOffset, byteLength } = writer.finish();
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** Reads a message of a watch. */
export function decodeWatchResponse(message: Buffer): IWatchResponse {
  const reader = new protobuf.BufferReader(message);
  const response = { ...emptyWatchResponse, events: [] as IEvent[] };
  while (reader.pos < reader.len) {
    const field = reader.uint32();
    switch (field >>> 3) {
      case 1:
        response.header = readHeader(reader);
        break;
      case 3:
        response.created = reader.bool();
        break;
      case 4:
        response.canceled = reader.bool();
        break;
      case 5:
        response.compact_revision = readInt64(reader);
        break;
      case 6:
        response.cancel_reason = reader.string();
        break;
      case 11:
        response.events.push(readEvent(reader));
        break;
      default:
        reader.skipType(field & 7);
    }
  }
  return response;
}

function writeTxn(writer: Writer, { compare = [], success = [], failure = [] }: ITxnRequest): void {
  for (const condition of compare) {
    writer.uint32(tag(1, bytes)).fork();
    writeCompare(writer, condition);
    writer.ldelim();
  }
  for (const op of success) {
    writer.uint32(tag(2, bytes)).fork();
    writeOp(writer, op);
    writer.ldelim();
  }
  for (const op of failure) {
    writer.uint32(tag(3, bytes)).fork();
    writeOp(writer, op);
    writer.ldelim();
  }
}

function writeCompare(writer: Writer, condition: ICompare): void {
  const { result = "Equal", target = "Version", key, range_end, create_revision, mod_revision } = condition;
  writer.uint32(tag(1, varint)).uint32(typeof result === "number" ? result : compareResults[result]);
  writer.uint32(tag(2, varint)).uint32(typeof target === "number" ? target : compareTargets[target]);
  writeBytes(writer, 3, key);
  writeInt64(writer, 5, create_revision);
  writeInt64(writer, 6, mod_revision);
  writeBytes(writer, 64, range_end);
}

function writeOp(writer: Writer, op: IRequestOp): void {
  if (op.request_txn !== undefined) {
    writer.uint32(tag(4, bytes)).fork();
    writeTxn(writer, op.request_txn);
  } else if (op.request_put !== undefined) {
    writer.uint32(tag(2, bytes)).fork();
    writeBytes(writer, 1, op.request_put.key);
    writeBytes(writer, 2, op.request_put.value);
  } else if (op.request_delete_range !== undefined) {
    writer.uint32(tag(3, bytes)).fork();
    writeBytes(writer, 1, op.request_delete_range.key);
  } else {
    writer.uint32(tag(1, bytes)).fork();
    writeBytes(writer, 1, op.request_range?.key);
  }
  writer.ldelim();
}

function writeBytes(writer: Writer, field: number, value: Buffer | undefined): void {
  if (value !== undefined) {
    writer.uint32(tag(field, bytes)).bytes(value);
  }
}

function writeInt64(writer: Writer, field: number, value: string | number | undefined): void {
  if (value !== undefined) {
    // Written as a number up to 2^53, which is every revision that etcd will ever have.
    writer.uint32(tag(field, varint)).uint64(Number(value));
  }
}

function readTxn(reader: Reader, end: number): ITxnResponse {
  const response = { header: emptyHeader, succeeded: false, responses: [] as ITxnResponse["responses"] };
  while (reader.pos < end) {
    const field = reader.uint32();
    switch (field >>> 3) {
      case 1:
        response.header = readHeader(reader);
        break;
      case 2:
        response.succeeded = reader.bool();
        break;
      case 3:
        response.responses.push(readOpResponse(reader));
        break;
      default:
        reader.skipType(field & 7);
    }
  }
  return response;
}

/** Of the answers to single ops only what a read found is of interest, and nested transactions. */
function readOpResponse(reader: Reader): ITxnResponse["responses"][number] {
  const end = reader.uint32() + reader.pos;
  const response = {} as ITxnResponse["responses"][number];
  while (reader.pos < end) {
    const field = reader.uint32();
    switch (field >>> 3) {
      case 1:
        response.response_range = readRange(reader);
        break;
      case 4:
        response.response_txn = readTxn(reader, reader.uint32() + reader.pos);
        break;
      default:
        reader.skipType(field & 7);
    }
  }
  return response;
}

function readRange(reader: Reader): ITxnResponse["responses"][number]["response_range"] {
  const end = reader.uint32() + reader.pos;
  const response = { header: emptyHeader, kvs: [] as IKeyValue[], more: false, count: "0" };
  while (reader.pos < end) {
    const field = reader.uint32();
    if (field >>> 3 === 2) {
      response.kvs.push(readKeyValue(reader));
    } else {
      reader.skipType(field & 7);
    }
  }
  return response;
}

function readEvent(reader: Reader): IEvent {
  const end = reader.uint32() + reader.pos;
  let type: IEvent["type"] = "Put";
  let kv = emptyKeyValue;
  while (reader.pos < end) {
    const field = reader.uint32();
    switch (field >>> 3) {
      case 1:
        type = reader.uint32() === 1 ? "Delete" : "Put";
        break;
      case 2:
        kv = readKeyValue(reader);
        break;
      default:
        reader.skipType(field & 7);
    }
  }
  return { type, kv, prev_kv: emptyKeyValue };
}

function readKeyValue(reader: Reader): IKeyValue {
  const end = reader.uint32() + reader.pos;
  const kv = { ...emptyKeyValue };
  while (reader.pos < end) {
    const field = reader.uint32();
    switch (field >>> 3) {
      case 1:
        kv.key = reader.bytes() as Buffer;
        break;
      case 2:
        kv.create_revision = readInt64(reader);
        break;
      case 3:
        kv.mod_revision = readInt64(reader);
        break;
      case 5:
        kv.value = reader.bytes() as Buffer;
        break;
      default:
        reader.skipType(field & 7);
    }
  }
  return kv;
}

function readHeader(reader: Reader): ITxnResponse["header"] {
  const end = reader.uint32() + reader.pos;
  const header = { ...emptyHeader };
  while (reader.pos < end) {
    const field = reader.uint32();
    if (field >>> 3 === 3) {
      header.revision = readInt64(reader);
    } else {
      reader.skipType(field & 7);
    }
  }
  return header;
}

function readInt64(reader: Reader): string {
  const { high, low } = reader.int64();
  return String(high * 2 ** 32 + (low >>> 0));
}

const emptyHeader = { cluster_id: "0", member_id: "0", revision: "0", raft_term: "0" };
const emptyKeyValue: IKeyValue = {
  key: Buffer.alloc(0),
  create_revision: "0",
  mod_revision: "0",
  version: "0",
  value: Buffer.alloc(0),
  lease: "0",
};
const emptyWatchResponse: IWatchResponse = {
  header: emptyHeader,
  watch_id: "0",
  created: false,
  canceled: false,
  compact_revision: "0",
  cancel_reason: "",
  fragment: false,
  events: [],
};
