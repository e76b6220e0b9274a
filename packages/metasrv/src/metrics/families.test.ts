import { describe, expect, test } from "@jest/globals";
import { type LockName, lockNameOf } from "../model/ticket-ref.js";
import { Families, mostFamilies } from "./families.js";

function name(text: string): LockName {
  return lockNameOf(Buffer.from(text));
}

describe("families", () => {
  test.each([
    ["orders/42", "orders"],
    ["orders", "orders"],
    ["/orders", ""],
    ["orders/42/items/7", "orders"],
    ["größe/1", "größe"],
    ["other/1", "other"],
    [`${"x".repeat(65)}/1`, "other"],
  ])("%s is of the family %j", (text, label) => {
    expect(new Families().of(name(text)).label).toBe(label);
  });

  test("bytes that are no text make a label that can be read", () => {
    expect(new Families().of(lockNameOf(Uint8Array.of(0xff, 0x2f, 0x31))).label).toBe("%FF");
  });

  test("there are never more than the bound and other, with a million names", () => {
    const families = new Families();
    for (let n = 0; n < 1_000_000; n++) {
      families.of(name(`family-${n}/lock`)).ended("refused");
    }
    const labels = [...families.all()].map(({ label }) => label);
    expect(labels).toHaveLength(mostFamilies + 1);
    expect(labels.slice(0, 2)).toEqual(["family-0", "family-1"]);
    expect(families.other.requests.refused).toBe(1_000_000 - mostFamilies);
  });

  test("the first pattern that matches the whole name counts, before the part before the first slash", () => {
    const families = new Families(["orders/*/items", "orders/*", "job.*"]);
    const label = (text: string) => families.of(name(text)).label;
    expect(label("orders/42/items")).toBe("orders/*/items");
    expect(label("orders/42/items/7")).toBe("orders/*");
    expect(label("orders/42\nitems")).toBe("orders/*");
    expect(label("job.nightly")).toBe("job.*");
    expect(label("jobs/nightly")).toBe("jobs");
    expect(label("orders")).toBe("orders");
  });

  test.each([
    ["*", "", true],
    ["a*a", "a", false],
    ["a*a", "aa", true],
    ["*b*b", "ab", false],
    ["*b*b", "abb", true],
    ["a*b*c", "a-b-b-c-c", true],
    ["a*b*c", "a-c-b", false],
    ["a.c", "abc", false],
    ["*/é*", "x/é1", true],
  ])("the pattern %s and the name %j", (pattern, text, matches) => {
    expect(new Families([pattern]).of(name(text)).label === pattern).toBe(matches);
  });

  test("no name takes long to match", () => {
    const families = new Families(["*/*/*/*/lock"]);
    const beganAtMs = performance.now();
    expect(families.of(name("/".repeat(1_024))).label).toBe("");
    expect(performance.now() - beganAtMs).toBeLessThan(1_000);
  });

  test("one name is always of the same family", () => {
    const families = new Families();
    expect(families.of(name("a/1"))).toBe(families.of(name("a/2")));
    expect(families.of(name("b/1"))).not.toBe(families.of(name("a/1")));
  });
});
