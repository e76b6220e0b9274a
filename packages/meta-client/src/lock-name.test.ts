import { describe, expect, test } from "@jest/globals";
import { describeLock, toWireName } from "./lock-name.js";
import { InvalidArgumentError } from "./meta-errors.js";

describe("toWireName", () => {
  test("sends a text as text and bytes as bytes", () => {
    expect(toWireName("orders/42 ✓")).toEqual({ case: "name", value: "orders/42 ✓" });
    expect(toWireName(Uint8Array.of(0, 255))).toEqual({ case: "nameBytes", value: Uint8Array.of(0, 255) });
    expect(toWireName(Buffer.from("a"))).toEqual({ case: "nameBytes", value: Uint8Array.of(97) });
  });

  test("copies bytes", () => {
    const name = Uint8Array.of(1);
    const wire = toWireName(name);
    name[0] = 2;
    expect(wire.value).toEqual(Uint8Array.of(1));
  });

  test.each([[""], [new Uint8Array()], [undefined], [42], ["a\ud800"], ["\udc00b"]])("refuses %p", (name) => {
    expect(() => toWireName(name)).toThrow(InvalidArgumentError);
  });
});

describe("describeLock", () => {
  test.each([
    ["orders/42", 'lock "orders/42"'],
    ['a"\n', 'lock "a\\"\\n"'],
    [Uint8Array.of(0, 255), "lock 0x00ff"],
    ["x".repeat(100), `lock "${"x".repeat(80)}…"`],
  ])("%p", (name, expected) => {
    expect(describeLock(name)).toBe(expected);
  });
});
