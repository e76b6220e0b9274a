import { describe, expect, test } from "@jest/globals";
import { LockRequestSchema } from "@metasrv/proto/metasrv/v1";
import { withPlainIntegers } from "./json-integers.js";

const read = (json: string) => withPlainIntegers(json, LockRequestSchema);

describe("a 64-bit number in JSON", () => {
  test.each([
    ['"60000"', '"60000"'],
    ["60000", "60000"],
    ['"6e4"', '"60000"'],
    ['"60000.0"', '"60000"'],
    ['"6.0E+4"', '"60000"'],
    ['"600000e-1"', '"60000"'],
    ['"0.0"', '"0"'],
    ['"-5.0"', '"-5"'],
    ["null", "null"],
  ])("%s is read as %s", (given, expected) => {
    expect(JSON.parse(read(`{"ttlMs":${given}}`))).toEqual({ ttlMs: JSON.parse(expected) as unknown });
    expect(JSON.parse(read(`{"ttl_ms":${given}}`))).toEqual({ ttl_ms: JSON.parse(expected) as unknown });
  });

  test.each(['"0x10"', '" 5 "', '"abc"', '""', '"1.5"', '"1e-1"', '"1e99"', '"1_000"', '"0b1"'])(
    "%s is refused",
    (given) => {
      expect(() => read(`{"ttlMs":${given}}`)).toThrow(/^\[invalid_argument\] ttlMs is /);
    },
  );

  test("is found in the messages inside, and texts stay as they are", () => {
    const message = { name: "6e4", within: [{ name: "0x10", token: "7e0" }], labels: { ttlMs: "0x10" } };
    expect(JSON.parse(read(JSON.stringify(message)))).toEqual({ ...message, within: [{ name: "0x10", token: "7" }] });
  });

  test.each(["not json", "[1]", "null", '"text"', '{"ttlMs":1,"ttlMs":2}', '{"within":5}'])(
    "%s is left as it is",
    (json) => {
      expect(read(json)).toBe(json);
    },
  );
});
