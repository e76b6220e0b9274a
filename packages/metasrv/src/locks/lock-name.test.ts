import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { escapeLockName, parseLockName, unescapeLockName } from "./lock-name.js";

const runs = { numRuns: 5_000, seed: Number(process.env.FAST_CHECK_SEED ?? 20) };

/** Any bytes, and often those that mean something to the escaping. */
const name = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(...Buffer.from("a/%2F5\n."))), {
    minLength: 1,
    maxLength: 24,
  })
  .map((bytes) => Uint8Array.from(bytes));

describe("an escaped name", () => {
  test("is readable where the name is, and shows every other byte as %XX", () => {
    expect(escapeLockName(Buffer.from("orders-7_x.y~z:@=+,"))).toBe("orders-7_x.y~z:@=+,");
    expect(escapeLockName(Buffer.from("a/b"))).toBe("a%2Fb");
    expect(escapeLockName(Buffer.from("a%2Fb"))).toBe("a%252Fb");
    expect(escapeLockName(Buffer.from("größe\n"))).toBe("gr%C3%B6%C3%9Fe%0A");
  });

  test("is printable ASCII without a separator, and no more than three times as long", () => {
    fc.assert(
      fc.property(name, (bytes) => {
        const escaped = escapeLockName(bytes);
        expect(escaped).toMatch(/^[!-.0-~]+$/);
        expect(escaped.length).toBeLessThanOrEqual(3 * bytes.length);
      }),
      runs,
    );
  });

  test("gives the name back, so that distinct names stay distinct", () => {
    fc.assert(
      fc.property(name, (bytes) => {
        expect(Buffer.from(unescapeLockName(escapeLockName(bytes)))).toEqual(Buffer.from(bytes));
      }),
      runs,
    );
  });

  test("of a part of a larger array is that of the part", () => {
    expect(escapeLockName(new Uint8Array(Buffer.from("xa/bx")).subarray(1, 4))).toBe("a%2Fb");
  });
});

describe("parseLockName", () => {
  test("accepts every escaped name", () => {
    fc.assert(
      fc.property(name, (bytes) => {
        const escaped = escapeLockName(bytes);
        expect(parseLockName(escaped)).toBe(escaped);
      }),
      runs,
    );
  });

  test.each(["", "/", "a/b", "%", "%2", "%2f", "%41", "%GG", "a b", "ä", "a\n", "a%", "%%", "%2F%2f", "a\u0000"])(
    "rejects %j, which escaping cannot have made",
    (text) => {
      expect(parseLockName(text)).toBeUndefined();
    },
  );

  test("accepts nothing that escaping cannot have made", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "F", "2", "%", "/", "f", " ", "\n", "ö") });
    fc.assert(
      fc.property(text, (given) => {
        const parsed = parseLockName(given);
        expect(parsed === undefined || escapeLockName(unescapeLockName(parsed)) === given).toBe(true);
      }),
      runs,
    );
  });
});
