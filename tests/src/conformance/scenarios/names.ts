import { expect } from "@jest/globals";
import { failureOf } from "../failure-of.js";
import { becomesFree } from "../queue-up.js";
import type { Scenario } from "../scenario.js";

const names: readonly Uint8Array[] = [
  ..."a|a/b|a%2Fb|a%252Fb|a/|/a|/|//|%|%2F|%2f|.|..|../a| |a b|\n|locks|members|metasrv/locks/a|A|ab|abc".split("|"),
  "|",
  "ä",
  "a\u0308",
  "名前",
  "🔒",
  "\0",
  "a\0",
  "x".repeat(1023),
  "x".repeat(1024),
]
  .map((text) => Buffer.from(text))
  .concat([
    Buffer.of(0xff),
    Buffer.of(0xff, 0xff),
    Buffer.of(0xc3),
    Buffer.of(0x80),
    Buffer.alloc(1024, 0xff),
    Buffer.alloc(1024),
  ]);

/** Names are bytes, nothing more. */
export const nameScenarios: readonly Scenario[] = [
  {
    title: "names that differ in any byte are different locks, whatever the bytes are",
    async run({ driver }) {
      const inTime = () => AbortSignal.timeout(20_000);
      const grants = await Promise.all(names.map((lock) => driver.lock(lock, { ttlMs: 60_000, signal: inTime() })));
      for (const lock of names) {
        expect((await driver.observe(lock)).holderToken).toBeGreaterThan(0n);
      }
      for (const [index, { key }] of grants.entries()) {
        expect(await driver.unlock(key)).toBe("released");
        await becomesFree(driver, names[index] ?? Buffer.of());
      }
    },
  },
  {
    title: "an empty name and one of more than 1024 bytes are refused",
    async run({ driver }) {
      for (const lock of [new Uint8Array(), new Uint8Array(1025)]) {
        expect(["invalid-name", "invalid-argument"]).toContain((await failureOf(driver.lock(lock))).reason);
      }
    },
  },
];
