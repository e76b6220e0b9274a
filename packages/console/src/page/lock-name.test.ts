import { describe, expect, test } from "@jest/globals";
import { readName, shownText } from "./lock-name.js";

describe("a text of somebody else", () => {
  test.each([
    ["orders/42 – größer 数 🔒", "orders/42 – größer 数 🔒"],
    ["a\nb\t\u0000", "a\\u{a}b\\u{9}\\u{0}"],
    ["\u202Egnp.exe", "\\u{202e}gnp.exe"],
    ["a\u200Bb\u2028\u00A0", "a\\u{200b}b\\u{2028}\\u{a0}"],
    ["\uD800", "\\u{d800}"],
    ["\\u{a}", "\\\\u{a}"],
  ])("%j is shown as %s", (text, shown) => {
    expect(shownText(text)).toBe(shown);
  });
});

describe("a name", () => {
  test("of bytes is shown with what is no text written out", () => {
    const name = readName({ nameBytes: btoa("a/\xff\n\\") });
    expect(name).toMatchObject({ shown: "a/\\xff\\x0a\\\\", family: "a/" });
  });

  test("of bytes is another one than a text that looks alike", () => {
    const keys = [{ nameBytes: btoa("\xff") }, { name: "\\xff" }, { name: "ÿ" }, { name: btoa("\xff") }].map(
      (name) => readName(name).key,
    );
    expect(new Set(keys).size).toBe(4);
  });

  test.each([
    ["orders/42/a", "orders/"],
    ["/a", "/"],
    ["orders", ""],
  ])("%s is of the family %j", (name, family) => {
    expect(readName({ name }).family).toBe(family);
  });
});
