import { expect, test } from "@jest/globals";
import { createTicketIds, newTicketId, ticketIdLength } from "./lock-messages.js";

test("ticket ids are 16 bytes of their own, and never the same", () => {
  const ids = Array.from({ length: 1_000 }, newTicketId);
  expect(new Set(ids.map((id) => Buffer.from(id).toString("hex"))).size).toBe(1_000);
  for (const id of ids) {
    expect(id.buffer.byteLength).toBe(ticketIdLength);
  }
});

test("ticket ids come from the source that is given", () => {
  let next = 0;
  const newId = createTicketIds((bytes) => bytes.fill(++next));
  const firsts = Array.from({ length: 257 }, () => newId()[0]);
  expect(firsts.filter((byte) => byte === 1)).toHaveLength(256);
  expect(firsts.at(-1)).toBe(2);
});
