import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { lockNameBytes, lockNameOf, showLockName } from "./ticket-ref.js";

const runs = { numRuns: 5_000, seed: Number(process.env.FAST_CHECK_SEED ?? 20) };

/** Any bytes, and often those that mean something when a name is shown. */
const name = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(...Buffer.from("a%C3ö\n"))), { maxLength: 12 })
  .map((bytes) => Uint8Array.from(bytes));

describe("a lock's name", () => {
  test("becomes the same bytes again, also those of a view into a larger buffer", () => {
    fc.assert(
      fc.property(name, (bytes) => {
        const around = Buffer.concat([Buffer.of(1, 2, 3), bytes, Buffer.of(4)]);
        const view = around.subarray(3, 3 + bytes.length);
        expect(lockNameOf(view)).toBe(lockNameOf(bytes));
        expect(Uint8Array.from(lockNameBytes(lockNameOf(view)))).toEqual(bytes);
      }),
      runs,
    );
  });

  test.each([
    ["orders/42", "orders/42"],
    ["größe 日本", "größe 日本"],
    ["100 %", "100 %25"],
    ["a\nb\u2028c\u200bd", "a%0Ab%E2%80%A8c%E2%80%8Bd"],
  ])("%j is shown as %s", (text, shown) => {
    expect(showLockName(lockNameOf(Buffer.from(text)))).toBe(shown);
  });

  test("that is not UTF-8 is shown byte by byte", () => {
    expect(showLockName(lockNameOf(Buffer.of(0x61, 0xc3, 0x25, 0xff)))).toBe("a%C3%25%FF");
  });

  test("is shown on one line, and unlike any other", () => {
    fc.assert(
      fc.property(name, name, (one, other) => {
        const [shown, otherShown] = [showLockName(lockNameOf(one)), showLockName(lockNameOf(other))];
        expect(shown).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
        expect(shown === otherShown).toBe(Buffer.compare(one, other) === 0);
      }),
      runs,
    );
  });
});
