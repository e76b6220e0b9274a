import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { buffers, EtcdProto, int64s, type Plain } from "../../../../test-support/etcd-proto.js";
import type { EtcdRange } from "./etcd-client.js";
import {
  decodeDatabaseBytes,
  decodeHeader,
  decodeLease,
  decodeToken,
  encodeAuthenticate,
  encodeLease,
  encodeLeaseGrant,
  encodePut,
} from "./etcd-rare-wire.js";
import { decodePage, encodeRange } from "./etcd-wire.js";

const proto = new EtcdProto();
const later = new EtcdProto();
later.addLaterFields();

describe("a request that is written here reads the same there:", () => {
  const reads = (name: string, bytes: Uint8Array, plain: Plain) => {
    const type = `etcdserverpb.${name}`;
    expect(proto.decode(type, bytes)).toEqual(proto.decode(type, proto.encode(type, plain)));
  };

  test("a range", () => {
    const ranges: fc.Arbitrary<EtcdRange & { readonly revision?: bigint }> = fc.record(
      { key: buffers, end: buffers, keysOnly: fc.boolean(), limit: fc.nat(), revision: int64s },
      { requiredKeys: ["key"] },
    );
    fc.assert(
      fc.property(ranges, (range) => {
        const { key, end, keysOnly, limit, revision = 0n } = range;
        const plain = { key, range_end: end, keys_only: keysOnly, limit, revision: String(revision) };
        reads("RangeRequest", encodeRange(range), plain);
      }),
    );
  });

  test("a put", () => {
    fc.assert(
      fc.property(buffers, buffers, int64s, (key, value, lease) => {
        reads("PutRequest", encodePut({ key, value, lease }), { key, value, lease: String(lease) });
      }),
    );
  });

  test("what is asked of leases", () => {
    fc.assert(
      fc.property(int64s, fc.nat(), (lease, ttl) => {
        reads("LeaseGrantRequest", encodeLeaseGrant(ttl), { TTL: ttl });
        reads("LeaseKeepAliveRequest", encodeLease(lease), { ID: String(lease) });
        reads("LeaseRevokeRequest", encodeLease(lease), { ID: String(lease) });
      }),
    );
  });

  test("a user and a password", () => {
    const texts = fc.string({ unit: "grapheme" });
    fc.assert(
      fc.property(texts, texts, (name, password) => {
        reads("AuthenticateRequest", encodeAuthenticate(name, password), { name, password });
      }),
    );
  });
});

/** Each kind of answer, how it is read here, and what is to come of it. */
const answers: readonly (readonly [string, (bytes: Uint8Array) => unknown, (plain: Plain) => unknown])[] = [
  ["PutResponse", decodeHeader, ({ header }) => headerOf(header)],
  [
    "RangeResponse",
    (bytes) => ({ ...decodePage(bytes), kvs: decodePage(bytes).kvs.map(({ key, value }) => ({ key, value })) }),
    ({ header, kvs, more }) => ({
      header: headerOf(header),
      kvs: (kvs as Plain[]).map(({ key, value }) => ({ key, value })),
      more,
    }),
  ],
  ["LeaseGrantResponse", decodeLease, ({ ID, TTL }) => ({ lease: BigInt(String(ID)), ttlSeconds: Number(TTL) })],
  ["LeaseKeepAliveResponse", decodeLease, ({ ID, TTL }) => ({ lease: BigInt(String(ID)), ttlSeconds: Number(TTL) })],
  ["StatusResponse", decodeDatabaseBytes, ({ dbSize }) => Number(dbSize)],
  ["AuthenticateResponse", decodeToken, ({ token }) => token],
];

test.each(answers)(
  "a %s that is written there reads the same here, also when a later etcd says more",
  (name, decode, expected) => {
    const type = `etcdserverpb.${name}`;
    for (const codec of [proto, later]) {
      fc.assert(
        fc.property(codec.arbitrary(type), (plain) => {
          const bytes = codec.encode(type, plain);
          expect(decode(bytes)).toEqual(expected(proto.decode(type, bytes)));
        }),
      );
    }
  },
);

function headerOf(header: unknown) {
  const { cluster_id: clusterId = 0, revision = 0 } = (header ?? {}) as Plain;
  return { clusterId: BigInt(String(clusterId)), revision: BigInt(String(revision)) };
}
