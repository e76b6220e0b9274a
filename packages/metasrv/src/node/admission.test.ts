import { describe, expect, test } from "@jest/globals";
import { defaultLimits } from "../model/limits.js";
import { exclusive, noLimit } from "../model/ticket-content.js";
import { checkClaim, checkTtl } from "./admission.js";
import type { ClaimRequest } from "./claim.js";

const name = Buffer.from("orders");
const { maxNameBytes, maxOwnerBytes, minTtlMs, maxTtlMs, defaultTtlMs } = defaultLimits;

function checked(request: Partial<ClaimRequest>) {
  return () => checkClaim({ name, ...request }, defaultLimits);
}

describe("a request", () => {
  test("gets the default TTL and no owner where it says nothing, or 0", () => {
    expect(checked({})().content).toEqual({ ttlMs: defaultTtlMs, owner: "", ...exclusive });
    expect(checked({ ttlMs: 0 })().content).toEqual({ ttlMs: defaultTtlMs, owner: "", ...exclusive });
  });

  test("may go to every limit", () => {
    const ticketId = Buffer.alloc(16);
    const owner = "x".repeat(maxOwnerBytes);
    expect(
      checked({ name: Buffer.alloc(maxNameBytes, 1), ticketId, owner, waitMs: 0, ttlMs: minTtlMs })().content,
    ).toEqual({
      ttlMs: minTtlMs,
      owner,
      ...exclusive,
    });
    const most = { permits: noLimit - 1, limit: noLimit - 1 };
    expect(checked({ share: most })().content).toMatchObject(most);
    expect(checkTtl(maxTtlMs, defaultLimits)).toBe(maxTtlMs);
  });

  test.each([
    [
      "no permits",
      { share: { permits: 0, limit: 2 } },
      "invalid-permits",
      "0 permits of 2 are asked for; ask for 1 to 2",
    ],
    ["more permits than there are", { share: { permits: 3, limit: 2 } }, "invalid-permits", "ask for 1 to 2"],
    ["no limit", { share: { permits: 1, limit: 0 } }, "invalid-permits", "at least 1"],
    ["an empty name", { name: Buffer.alloc(0) }, "invalid-name", "is empty"],
    ["a long name", { name: Buffer.alloc(maxNameBytes + 1) }, "invalid-name", `has ${maxNameBytes + 1} bytes`],
    ["a short ticket id", { ticketId: Buffer.alloc(15) }, "invalid-ticket-id", "has 15 bytes"],
    ["a long ticket id", { ticketId: Buffer.alloc(17) }, "invalid-ticket-id", "give it 16 random bytes"],
    ["a negative wait", { waitMs: -1 }, "invalid-wait", "the wait is -1 ms"],
    ["a wait that is no number", { waitMs: NaN }, "invalid-wait", "the wait is NaN ms"],
    // Two bytes each in UTF-8.
    ["a long owner", { owner: "ö".repeat(maxOwnerBytes / 2 + 1) }, "invalid-owner", `has ${maxOwnerBytes + 2} bytes`],
    ["a short TTL", { ttlMs: minTtlMs - 1 }, "invalid-ttl", `give ${minTtlMs} to ${maxTtlMs} ms`],
    ["a long TTL", { ttlMs: maxTtlMs + 1 }, "invalid-ttl", `the TTL is ${maxTtlMs + 1} ms`],
    ["a TTL that is no number", { ttlMs: NaN }, "invalid-ttl", "the TTL is NaN ms"],
  ])("with %s is refused, and told what was expected", (_, request, reason, words) => {
    expect(checked(request)).toThrow(expect.objectContaining({ reason, message: expect.stringContaining(words) }));
  });
});
