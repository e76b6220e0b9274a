import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "@jest/globals";
import { protocolReference } from "./protocol-reference.js";

const root = resolve(fileURLToPath(new URL("../..", import.meta.url)));

test("the reference of the protocol says what the .proto files say: else run npm run docs:protocol", async () => {
  const reference = await protocolReference(root);
  expect(await readFile(`${root}/docs/reference/protocol.md`, "utf8")).toBe(reference);
  // A comment of a service, of a call, of a field and of a value of an enum.
  expect(reference).toContain("AdminService is for operators");
  expect(reference).toContain("`ForceRelease(ForceReleaseRequest) returns (ForceReleaseResponse)`");
  expect(reference).toMatch(/\| `token` = 3 +\| uint64 +\| Fencing token of the ticket\. +\|/u);
  expect(reference).toMatch(/\| `REASON_NOT_HELD` +\| \d+ +\| \w+/u);
});
