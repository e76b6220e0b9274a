import type { DescField, DescFile } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { expect, test } from "@jest/globals";
import { file_greptime_v1_meta_lock } from "./gen/greptime/v1/meta/lock_pb.js";

// Clients in the field depend on every line of this table. When this test fails, the .proto file is wrong.
const CONTRACT = {
  package: "greptime.v1.meta",
  services: {
    Lock: {
      Lock: "unary (greptime.v1.meta.LockRequest) returns (greptime.v1.meta.LockResponse)",
      Unlock: "unary (greptime.v1.meta.UnlockRequest) returns (greptime.v1.meta.UnlockResponse)",
    },
  },
  messages: {
    LockRequest: ["greptime.v1.meta.RequestHeader header = 1", "bytes name = 2", "int64 expire_secs = 3"],
    LockResponse: ["greptime.v1.meta.ResponseHeader header = 1", "bytes key = 2"],
    UnlockRequest: ["greptime.v1.meta.RequestHeader header = 1", "bytes key = 2"],
    UnlockResponse: ["greptime.v1.meta.ResponseHeader header = 1"],
    RequestHeader: [
      "uint64 protocol_version = 1",
      "uint64 member_id = 3",
      "greptime.v1.meta.Role role = 4",
      "map<string, string> tracing_context = 5",
    ],
    ResponseHeader: ["uint64 protocol_version = 1", "greptime.v1.meta.Error error = 3"],
    Error: ["int32 code = 1", "string err_msg = 2"],
  },
  enums: {
    Role: ["DATANODE = 0", "FRONTEND = 1", "FLOWNODE = 2"],
  },
  extensions: 0,
};

test("the original contract is the original one, with nothing added", () => {
  expect(contractOf(file_greptime_v1_meta_lock)).toEqual(CONTRACT);
});

test("has the proto3 rules of presence and packing", () => {
  expect(file_greptime_v1_meta_lock.proto.syntax).toBe("proto3");
  const optional = file_greptime_v1_meta_lock.messages.flatMap(({ fields }) =>
    fields.filter((f) => f.proto.proto3Optional),
  );
  expect(optional).toEqual([]);
});

function contractOf(file: DescFile): typeof CONTRACT {
  const entries = <T extends { name: string }, V>(list: readonly T[], value: (item: T) => V): Record<string, V> =>
    Object.fromEntries(list.map((item) => [item.name, value(item)]));
  return {
    package: file.proto.package,
    services: entries(file.services, ({ methods }) =>
      entries(
        methods,
        ({ methodKind, input, output }) => `${methodKind} (${input.typeName}) returns (${output.typeName})`,
      ),
    ) as typeof CONTRACT.services,
    messages: entries(file.messages, ({ fields, nestedEnums, nestedMessages, oneofs }) => {
      expect([...nestedEnums, ...nestedMessages, ...oneofs]).toEqual([]);
      return fields.map((field) => `${typeOf(field)} ${field.name} = ${field.number}`);
    }) as typeof CONTRACT.messages,
    enums: entries(file.enums, ({ values }) =>
      values.map(({ name, number }) => `${name} = ${number}`),
    ) as typeof CONTRACT.enums,
    extensions: file.extensions.length,
  };
}

function typeOf(field: DescField): string {
  switch (field.fieldKind) {
    case "scalar":
      return scalar(field.scalar);
    case "message":
      return field.message.typeName;
    case "enum":
      return field.enum.typeName;
    case "map":
      return field.mapKind === "scalar"
        ? `map<${scalar(field.mapKey)}, ${scalar(field.scalar)}>`
        : `map of ${field.mapKind}`;
    case "list":
      return `repeated ${field.listKind}`;
  }
}

function scalar(type: ScalarType): string {
  return ScalarType[type].toLowerCase();
}
