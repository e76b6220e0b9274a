import { expect, test } from "@jest/globals";
import { newTicketId } from "./ticket-id.js";

test("ticket ids are 16 bytes of their own, and never the same", () => {
  const ids = Array.from({ length: 1_000 }, newTicketId);
  expect(new Set(ids.map((id) => Buffer.from(id).toString("hex"))).size).toBe(1_000);
  for (const id of ids) expect(id.buffer.byteLength).toBe(16);
});
