import { expect, test } from "@jest/globals";
import { createRandomPool } from "./random-pool.js";

test("gives as many bytes as asked for, and never the same again", () => {
  const random = createRandomPool();
  const ids = Array.from({ length: 1_000 }, () => Buffer.from(random(16)).toString("hex"));
  expect(new Set(ids).size).toBe(1_000);
  expect(new Set(ids.map((id) => id.length))).toEqual(new Set([32]));
  expect(random(10_000)).toHaveLength(10_000);
});
