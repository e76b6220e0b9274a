import { createRequire } from "node:module";
import fc from "fast-check";
import protobuf from "protobufjs";

/** A message as protobufjs writes it from plain values: 64-bit numbers are decimal, bytes are buffers. */
export type Plain = Record<string, unknown>;

const options = { longs: String, enums: String, defaults: true } as const;

/** The messages of etcd, by the definitions and the codec that etcd3 has. */
export class EtcdProto {
  readonly #root: protobuf.Root;

  constructor() {
    const path = createRequire(import.meta.url).resolve("etcd3/proto/rpc.proto");
    this.#root = new protobuf.Root().loadSync(path, { keepCase: true });
    this.#root.resolveAll();
  }

  encode(name: string, plain: Plain): Buffer {
    const type = this.#root.lookupType(name);
    return Buffer.from(type.encode(type.fromObject(plain)).finish());
  }

  /** @returns it with defaults for what it does not say, as etcd3 would have it */
  decode(name: string, bytes: Uint8Array): Plain {
    const type = this.#root.lookupType(name);
    return type.toObject(type.decode(bytes), options);
  }

  /** Adds fields of every wire type to all messages, as a later etcd may. */
  addLaterFields(): void {
    for (const space of ["etcdserverpb", "mvccpb"]) {
      const namespace = this.#root.lookup(space);
      for (const type of namespace instanceof protobuf.Namespace ? namespace.nestedArray : []) {
        if (type instanceof protobuf.Type) {
          type.add(new protobuf.Field("later_varint", 1_000, "uint64"));
          type.add(new protobuf.Field("later_fixed64", 1_001, "fixed64"));
          type.add(new protobuf.Field("later_bytes", 1_002, "bytes"));
          type.add(new protobuf.Field("later_fixed32", 536_870_911, "fixed32"));
        }
      }
    }
  }

  /** Any message of a type, with any of its fields. */
  arbitrary(name: string, depth = 4): fc.Arbitrary<Plain> {
    const type = this.#root.lookupType(name);
    const fieldsOf = (fields: readonly protobuf.Field[]) =>
      fields.filter(({ resolvedType }) => depth > 0 || !(resolvedType instanceof protobuf.Type));
    const free = fieldsOf(type.fieldsArray.filter(({ partOf }) => partOf === null));
    const one = type.oneofsArray.map(({ fieldsArray }) =>
      fc.oneof(
        fc.constant({}),
        ...fieldsOf(fieldsArray).map((field) => this.#value(field, depth).map((value) => ({ [field.name]: value }))),
      ),
    );
    const rest = fc.record(Object.fromEntries(free.map((field) => [field.name, this.#value(field, depth)])), {
      requiredKeys: [],
    });
    return fc.tuple(rest, ...one).map((parts): Plain => Object.assign({}, ...parts) as Plain);
  }

  #value(field: protobuf.Field, depth: number): fc.Arbitrary<unknown> {
    const single = this.#single(field, depth);
    return field.repeated ? fc.array(single, { maxLength: 3 }) : single;
  }

  #single({ resolvedType, type }: protobuf.Field, depth: number): fc.Arbitrary<unknown> {
    if (resolvedType instanceof protobuf.Type) {
      return this.arbitrary(resolvedType.fullName, depth - 1);
    }
    if (resolvedType instanceof protobuf.Enum) {
      return fc.constantFrom(...Object.values(resolvedType.values));
    }
    switch (type) {
      case "int64":
        return int64s.map(String);
      case "uint64":
      case "fixed64":
        return uint64s.map(String);
      case "fixed32":
        return fc.nat();
      case "bool":
        return fc.boolean();
      case "string":
        return fc.string({ unit: "grapheme" });
      case "bytes":
        return buffers;
      default:
        throw new Error(`no values of type ${type} yet`);
    }
  }
}

/** Any bytes; mostly few. */
export const buffers = fc
  .oneof(
    { weight: 9, arbitrary: fc.uint8Array() },
    { weight: 1, arbitrary: fc.uint8Array({ minLength: 200, maxLength: 20_000 }) },
  )
  .map((bytes) => Buffer.from(bytes));

/** Revisions and lease ids; often where a codec may err. */
export const int64s = around([0n, 7n, 14n, 21n, 28n, 31n, 32n, 35n, 42n, 49n, 53n, 56n, 63n], 2n ** 63n - 1n);

/** Ids of clusters and members; often where a codec may err. */
export const uint64s = around([0n, 28n, 32n, 53n, 63n, 64n], 2n ** 64n - 1n);

function around(powers: readonly bigint[], max: bigint): fc.Arbitrary<bigint> {
  const edges = powers.flatMap((power) => [2n ** power - 1n, 2n ** power, 2n ** power + 1n]);
  return fc.oneof(fc.constantFrom(...edges.filter((edge) => edge <= max)), fc.bigInt({ min: 0n, max }));
}
