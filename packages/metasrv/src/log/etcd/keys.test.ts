import { describe, expect, test } from "@jest/globals";
import { LogKeys } from "./keys.js";

const keys = new LogKeys("metasrv");

describe("a key", () => {
  test("says what it stands for", () => {
    expect(keys.parse(keys.base)).toEqual({ kind: "base" });
    expect(keys.parse(keys.member("694d7f"))).toEqual({ kind: "member", memberId: "694d7f" });
    expect(keys.parse(keys.entry("694d7f", 12))).toEqual({ kind: "entry", memberId: "694d7f", sequence: 12 });
    expect(keys.parse(keys.chunk("0000000000000007-694d7f", 3))).toEqual({ kind: "chunk" });
  });

  test.each([
    "metasrv",
    "metasrv/@/",
    "metasrv/@/base2",
    "metasrv/@/other",
    "metasrv/@/log/",
    "metasrv/@/log/694d7f",
    "metasrv/@/log/694d7f/",
    "metasrv/@/log/694d7f/12",
    "metasrv/@/log/694D7F/0000000000000012",
    "metasrv/@/log//0000000000000012",
    "metasrv/@/log/694d7f/0000000000000012/deeper",
    "metasrv/@/log/694d7f/00000000000000+2",
    "metasrv/@/members/",
    "metasrv/@/members/xyz",
    "metasrv/@/members/694d7f/deeper",
    "metasrv/@/members/0123456789abcdef0",
    "other/@/base",
  ])("such as %s is none of ours", (key) => {
    expect(keys.parse(Buffer.from(key))).toBeUndefined();
  });

  test("with bytes that are no text is none of ours", () => {
    expect(keys.parse(Buffer.concat([Buffer.from("metasrv/@/members/"), Buffer.of(0xff, 0)]))).toBeUndefined();
  });
});

describe("ranges", () => {
  const isIn = (key: Buffer, range: { readonly key: Buffer; readonly end: Buffer }) =>
    key.compare(range.key) >= 0 && key.compare(range.end) < 0;

  test("of what is watched have everything but the snapshots", () => {
    for (const key of [keys.base, keys.member("0"), keys.member("f"), keys.entry("0", 1), keys.entry("f", 9e15)]) {
      expect(isIn(key, keys.watched)).toBe(true);
    }
    expect(isIn(keys.chunk("0", 0), keys.watched)).toBe(false);
    expect(isIn(keys.chunk("0", 0), keys.snapshots)).toBe(true);
  });

  test("of a member's entries have those of the sequences, in their order, and of no other member", () => {
    const range = keys.entriesOf("ab", 9, 11);
    expect([8, 9, 10, 11].map((sequence) => isIn(keys.entry("ab", sequence), range))).toEqual([
      false,
      true,
      true,
      false,
    ]);
    expect(isIn(keys.entry("ab", 1_000_000), keys.entriesOf("ab"))).toBe(true);
    for (const other of ["a", "abc", "aa", "ac"]) {
      expect(isIn(keys.entry(other, 10), keys.entriesOf("ab"))).toBe(false);
    }
  });

  test("of a snapshot's chunks have none of another whose name begins alike", () => {
    expect(isIn(keys.chunk("1", 5), keys.chunksOf("1", 5))).toBe(true);
    expect(isIn(keys.chunk("1", 4), keys.chunksOf("1", 5))).toBe(false);
    expect(isIn(keys.chunk("12", 5), keys.chunksOf("1"))).toBe(false);
  });
});

describe("prefixes", () => {
  const prefixes = ["a", "a/b", "a/b/c", "ab", "/a", "a/log", "a/base", "a/snapshots"];

  test("do not meet, however they are nested", () => {
    const all = prefixes.map((prefix) => new LogKeys(prefix));
    for (const one of all) {
      const own = [one.base, one.member("0"), one.entry("0", 1), one.chunk("0", 0)];
      for (const other of all.filter((candidate) => candidate !== one)) {
        for (const key of own) {
          expect(other.parse(key)).toBeUndefined();
          expect(key.compare(other.watched.key) >= 0 && key.compare(other.snapshots.end) < 0).toBe(false);
        }
      }
    }
  });
});
