import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { type LockName, lockNameBytes, lockNameOf, readLockName, showLockName } from "../model/ticket-ref.js";
import { type Right, rights, type Rule } from "./auth-config.js";
import { Rights } from "./rights.js";

const nameOf = (text: string) => lockNameOf(Buffer.from(text));

/** What the documentation says, for one right and one name. */
function expected(rules: readonly Rule[], right: Right, name: LockName): boolean {
  const speaking = rules.filter(({ allow = [], deny = [] }) => allow.includes(right) || deny.includes(right));
  const exact = speaking.filter((rule) => rule.exact !== undefined && readLockName(rule.exact) === name);
  const matching = speaking.filter((rule) => rule.prefix !== undefined && name.startsWith(bytesOf(rule.prefix)));
  const longest = Math.max(...matching.map((rule) => bytesOf(rule.prefix ?? "").length));
  const deciding = exact.length > 0 ? exact : matching.filter((rule) => bytesOf(rule.prefix ?? "").length === longest);
  return deciding.length > 0 && deciding.every(({ deny = [] }) => !deny.includes(right));
}

function bytesOf(text: string): string {
  const name = readLockName(text);
  if (name === undefined) {
    throw new Error(`no name: ${text}`);
  }
  return name;
}

/** Names that are beginnings of one another, with bytes of all sorts. */
const part = fc.constantFrom("a", "b", "é", "%2F", "\0", "\u0000/", "/", ":", ".");
const bytes = fc
  .array(
    fc.oneof(
      part.map((text) => Buffer.from(text)),
      fc.constantFrom(Buffer.of(0xff), Buffer.of(0xc3)),
    ),
    {
      maxLength: 5,
    },
  )
  .map((parts) => lockNameOf(Buffer.concat(parts)));
const prefix = bytes.map((name) => showLockName((/[/:.]$/.test(name) || name === "" ? name : `${name}/`) as LockName));
const listed = fc.option(fc.subarray([...rights], { minLength: 1 }), { nil: undefined });
const rule = fc.record({
  of: fc.oneof(
    prefix.map((text) => ({ prefix: text })),
    bytes.filter((name) => name !== "").map((name) => ({ exact: showLockName(name) })),
  ),
  allow: listed,
  deny: listed,
});

test("for any rules, rights and names, the decision is that of the documentation", () => {
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 6 }), bytes, fc.constantFrom(...rights), (generated, name, right) => {
      const rules: Rule[] = generated.map(({ of, allow, deny }) => ({ ...of, allow, deny }));
      // A name from the rules, too: else exact ones are seldom met.
      const names = [name, ...rules.map((one) => bytesOf(one.exact ?? one.prefix ?? "") as LockName)];
      const all = new Rights(rules);
      for (const each of names) {
        expect(all.permits(right, each)).toBe(expected(rules, right, each));
        if (all.permits(right, each)) {
          for (let length = 0; length <= each.length; length++) {
            expect(all.mayPermit(right, each.slice(0, length) as LockName)).toBe(true);
          }
        }
      }
    }),
    { numRuns: 2_000 },
  );
});

test("names in rules are read as they are shown", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20 }), (name) => {
      expect(readLockName(showLockName(lockNameOf(name)))).toBe(lockNameOf(name));
    }),
  );
  expect(readLockName("100%")).toBeUndefined();
  expect(readLockName("%zz")).toBeUndefined();
  expect(lockNameBytes(readLockName("%00é%ff%25") ?? nameOf(""))).toEqual(
    Buffer.concat([Buffer.of(0), Buffer.from("é"), Buffer.of(0xff), Buffer.from("%")]),
  );
});

describe("a principal", () => {
  const billing = new Rights([
    { prefix: "orders/", allow: ["lock", "inspect"] },
    { exact: "orders/all", deny: ["lock"] },
    { prefix: "orders/eu/", deny: ["inspect"] },
  ]);

  test.each([
    ["lock", "orders/42", true],
    ["lock", "orders/all", false],
    // A rule that does not speak of a right does not decide about it.
    ["inspect", "orders/all", true],
    ["lock", "orders/eu/1", true],
    ["inspect", "orders/eu/1", false],
    // A percent sign in a name is nothing but that.
    ["lock", "orders%2F42", false],
    ["lock", "order", false],
    ["lock", "Orders/42", false],
    ["force", "orders/42", false],
  ] as const)("%s %s: %s", (right, name, permitted) => {
    expect(billing.permits(right, nameOf(name))).toBe(permitted);
  });

  test("may list where something can be allowed", () => {
    expect(billing.mayPermit("inspect", nameOf(""))).toBe(true);
    expect(billing.mayPermit("inspect", nameOf("ord"))).toBe(true);
    expect(billing.mayPermit("inspect", nameOf("orders/a"))).toBe(true);
    expect(billing.mayPermit("inspect", nameOf("orders/eu/"))).toBe(false);
    expect(billing.mayPermit("inspect", nameOf("stock/"))).toBe(false);
    expect(billing.mayPermit("lock", nameOf("orders/all"))).toBe(true);
  });
});
