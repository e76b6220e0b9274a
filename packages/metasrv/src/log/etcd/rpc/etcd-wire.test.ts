import { describe, expect, test } from "@jest/globals";
import type { IEvent, IKeyValue, IResponseHeader, ITxnResponse, IWatchResponse } from "etcd3";
import fc from "fast-check";
import protobuf from "protobufjs";
import { buffers, EtcdProto, int64s, type Plain } from "../../../../test-support/etcd-proto.js";
import type {
  EtcdCompare,
  EtcdEvent,
  EtcdHeader,
  EtcdKeyValue,
  EtcdOp,
  EtcdTxn,
  EtcdTxnAnswer,
  EtcdWatchResponse,
} from "./etcd-client.js";
import {
  decodeTxnAnswer,
  decodeWatchResponse,
  encodeTxn,
  encodeWatchCreate,
  encodeWatchProgress,
} from "./etcd-wire.js";

const proto = new EtcdProto();
const later = new EtcdProto();
later.addLaterFields();

const keys = buffers;
const compares: fc.Arbitrary<EtcdCompare> = fc.record({
  key: keys,
  target: fc.constantFrom("create", "mod"),
  result: fc.constantFrom("equal", "greater", "less"),
  revision: int64s,
});
const ops: fc.Arbitrary<EtcdOp> = fc.oneof(
  fc.record({ kind: fc.constant("put" as const), key: keys, value: buffers }),
  fc.record({ kind: fc.constant("delete" as const), key: keys, end: keys }, { requiredKeys: ["kind", "key"] }),
  fc.record(
    { kind: fc.constant("range" as const), key: keys, end: keys, keysOnly: fc.boolean(), limit: fc.nat() },
    { requiredKeys: ["kind", "key"] },
  ),
);
const txns: fc.Arbitrary<EtcdTxn> = fc.record({
  compare: fc.array(compares, { maxLength: 4 }),
  success: fc.array(ops, { maxLength: 4 }),
  failure: fc.array(ops, { maxLength: 4 }),
});

describe("a request that is written here reads the same there:", () => {
  const reads = (name: string, bytes: Uint8Array, plain: Plain) => {
    expect(proto.decode(name, bytes)).toEqual(proto.decode(name, proto.encode(name, plain)));
  };

  test("a transaction", () => {
    fc.assert(
      fc.property(txns, (txn) => {
        reads("etcdserverpb.TxnRequest", encodeTxn(txn), plainTxn(txn));
      }),
    );
  });

  test("the making of a watch", () => {
    fc.assert(
      fc.property(keys, keys, int64s, (key, end, startRevision) => {
        const plain = { create_request: { key, range_end: end, start_revision: String(startRevision) } };
        reads("etcdserverpb.WatchRequest", encodeWatchCreate({ key, end, startRevision }), plain);
      }),
    );
  });

  test("a question for the progress of a watch", () => {
    reads("etcdserverpb.WatchRequest", encodeWatchProgress(), { progress_request: {} });
  });
});

/** Each kind of answer, how it is read here, and what is to come of it as etcd3 reads it. */
const answers = [
  [
    "an answer to a transaction",
    "etcdserverpb.TxnResponse",
    decodeTxnAnswer,
    (plain: Plain) => txnAnswerOf(plain as unknown as ITxnResponse),
  ],
  [
    "a message of a watch",
    "etcdserverpb.WatchResponse",
    decodeWatchResponse,
    (plain: Plain) => watchResponseOf(plain as unknown as IWatchResponse),
  ],
] as const;

describe.each(answers)("%s", (_, name, decode, expected) => {
  test("that is written there reads the same here", () => {
    fc.assert(
      fc.property(proto.arbitrary(name), (plain) => {
        const bytes = proto.encode(name, plain);
        expect(decode(bytes)).toEqual(expected(proto.decode(name, bytes)));
      }),
    );
  });

  test("reads the same when a later etcd has put more into it", () => {
    fc.assert(
      fc.property(later.arbitrary(name), (plain) => {
        const bytes = later.encode(name, plain);
        expect(decode(bytes)).toEqual(expected(proto.decode(name, bytes)));
      }),
    );
  });

  test("is refused when it ends within a field", () => {
    fc.assert(
      fc.property(later.arbitrary(name), fc.nat(), (plain, at) => {
        const bytes = later.encode(name, plain);
        const ends = fieldEnds(bytes);
        const within = [...bytes.keys()].filter((length) => !ends.has(length));
        const cut = within[at % within.length];
        fc.pre(cut !== undefined);
        expect(() => decode(bytes.subarray(0, cut))).toThrow();
      }),
    );
  });
});

describe("a message within a message is refused when it goes on after the end of the outer one:", () => {
  // One byte long, by its own account; what follows belongs to whatever comes after the outer message.
  const overlong = (...path: readonly number[]) => {
    let inner = Buffer.of(((path.at(-1) ?? 0) << 3) | 2, 1);
    for (const field of path.slice(0, -1).reverse()) {
      inner = Buffer.from([(field << 3) | 2, inner.length, ...inner]);
    }
    return Buffer.from([...inner, 0x10, 0x01, 0x10, 0x01]);
  };

  test.each([
    ["a key's value", [3, 1, 2, 5]],
    ["a key's name", [3, 1, 2, 1]],
    ["a key", [3, 1, 2]],
    ["a field that is not read", [3, 1, 9]],
  ])("%s in an answer to a transaction", (_, path) => {
    expect(() => decodeTxnAnswer(overlong(...path))).toThrow();
  });

  test.each([
    ["a key's name", [11, 2, 1]],
    ["a key", [11, 2]],
  ])("%s in a message of a watch", (_, path) => {
    expect(() => decodeWatchResponse(overlong(...path))).toThrow();
  });
});

test("a watch's message of 100,000 deletions is read whole, and not copied", () => {
  const events = Array.from({ length: 100_000 }, (_, index) => ({
    type: "Delete",
    kv: { key: Buffer.from(`metasrv/log/${index}`), mod_revision: "9007199254740993" },
  }));
  const message = proto.encode("etcdserverpb.WatchResponse", { events });
  const response = decodeWatchResponse(message);
  expect(response.events.every(({ kv }) => kv.key.buffer === message.buffer)).toBe(true);
  expect(response.events).toHaveLength(100_000);
  expect(response.events.at(-1)).toEqual({
    kind: "delete",
    kv: {
      key: Buffer.from("metasrv/log/99999"),
      value: Buffer.alloc(0),
      createRevision: 0n,
      modRevision: 9_007_199_254_740_993n,
      lease: 0n,
    },
  });
});

function plainTxn({ compare, success, failure }: EtcdTxn): Plain {
  return { compare: compare.map(plainCompare), success: success.map(plainOp), failure: failure.map(plainOp) };
}

function plainCompare({ key, target, result, revision }: EtcdCompare): Plain {
  return {
    key,
    result: { equal: "Equal", greater: "Greater", less: "Less" }[result],
    target: { create: "Create", mod: "Mod" }[target],
    [`${target}_revision`]: String(revision),
  };
}

function plainOp(op: EtcdOp): Plain {
  switch (op.kind) {
    case "put":
      return { request_put: { key: op.key, value: op.value } };
    case "delete":
      return { request_delete_range: { key: op.key, range_end: op.end } };
    case "range":
      return { request_range: { key: op.key, range_end: op.end, keys_only: op.keysOnly, limit: op.limit } };
  }
}

function txnAnswerOf({ header, succeeded, responses }: ITxnResponse): EtcdTxnAnswer {
  const read = responses.flatMap((response) =>
    "response_range" in response ? [response.response_range.kvs.map(keyValueOf)] : [],
  );
  return { header: headerOf(header), succeeded, read };
}

function watchResponseOf(response: IWatchResponse): EtcdWatchResponse {
  return {
    header: headerOf(response.header),
    created: response.created,
    canceled: response.canceled,
    cancelReason: response.cancel_reason,
    compactRevision: BigInt(response.compact_revision),
    events: response.events.map(eventOf),
  };
}

function eventOf({ type, kv }: IEvent): EtcdEvent {
  return { kind: type === "Put" ? "put" : "delete", kv: keyValueOf(kv) };
}

function headerOf(header: IResponseHeader | null): EtcdHeader {
  return { clusterId: BigInt(header?.cluster_id ?? 0), revision: BigInt(header?.revision ?? 0) };
}

function keyValueOf(kv: IKeyValue | null): EtcdKeyValue {
  return {
    key: kv?.key ?? Buffer.alloc(0),
    value: kv?.value ?? Buffer.alloc(0),
    createRevision: BigInt(kv?.create_revision ?? 0),
    modRevision: BigInt(kv?.mod_revision ?? 0),
    lease: BigInt(kv?.lease ?? 0),
  };
}

/** Where one of a message's own fields ends: up to there, it is a message too. */
function fieldEnds(bytes: Buffer): ReadonlySet<number> {
  const reader = protobuf.Reader.create(bytes);
  const ends = new Set([0]);
  while (reader.pos < reader.len) {
    reader.skipType(reader.uint32() & 7);
    ends.add(reader.pos);
  }
  return ends;
}
