import { describe, expect, test } from "@jest/globals";
import { readGrant } from "./grant.js";

const grant = {
  $typeName: "metasrv.v1.Grant",
  key: Uint8Array.of(1),
  token: 42n,
  floor: 42n,
  limit: 0,
  ttlMs: 10_000n,
} as const;

describe("a grant is counted", () => {
  test("from when the request was sent, and the wait", () => {
    expect(readGrant({ ...grant, waitedMs: 0 }, 500)).toMatchObject({ ttlMs: 10_000, grantedAtMs: 500 });
  });

  test.each([
    [1_000, 999],
    [60_000, 59_940],
    [3_600_000, 3_597_500],
    [86_400_000, 86_397_500],
  ])("as if the server's clock had run fast: a wait of %d ms counts as %d ms", (waitedMs, counted) => {
    expect(readGrant({ ...grant, waitedMs }, 500).grantedAtMs).toBe(500 + counted);
  });
});
