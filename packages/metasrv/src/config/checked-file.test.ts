import { describe, expect, test } from "@jest/globals";
import { z } from "zod";
import { checkFile } from "./checked-file.js";

const schema = z.strictObject({
  users: z
    .record(
      z.string(),
      z.strictObject({
        hash: z
          .string()
          .regex(/^[0-9a-f]+$/, "hex digits")
          .meta({ writeOnly: true }),
      }),
    )
    .optional(),
  rules: z
    .array(
      z.union([z.strictObject({ prefix: z.string(), allow: z.enum(["lock"]) }), z.strictObject({ exact: z.string() })]),
    )
    .refine((rules) => rules.length < 3, "there are more rules than two; drop some")
    .optional(),
});

function problems(text: string) {
  const checked = checkFile(text, schema);
  return "problems" in checked
    ? checked.problems.map(({ path, line, column, problem }) => `${line}:${column} ${path}: ${problem}`)
    : [];
}

describe("checkFile", () => {
  test("does not show secrets", () => {
    expect(problems("users:\n  ann:\n    hash: hunter2")).toEqual([
      "3:5 users.ann.hash: expected hex digits; found a value that is not shown",
    ]);
  });

  test("knows the keys below any key, and in lists", () => {
    expect(problems("users: {ann: {hsh: '1', hash: '1'}}")).toEqual([
      '1:15 users.ann.hsh: unknown key "hsh"; the nearest known key is "hash"',
    ]);
  });

  test("of alternatives, means the one that fits furthest", () => {
    expect(problems("rules:\n  - {prefix: a, allow: write}")).toEqual([
      '2:17 rules[0].allow: expected lock; found "write"',
    ]);
  });

  test("says what a rule of the schema says", () => {
    expect(problems("rules: [{exact: a}, {exact: b}, {exact: c}]")).toEqual([
      "1:1 rules: there are more rules than two; drop some",
    ]);
  });

  test("is not blown up by aliases that multiply", () => {
    const levels = Array.from({ length: 12 }, (_, n) => `a${n + 1}: &a${n + 1} [${`*a${n},`.repeat(12)}]`);
    expect(problems(["a0: &a0 [x]", ...levels].join("\n"))).toEqual([
      "1:1 : Excessive alias count indicates a resource exhaustion attack",
    ]);
  });
});
