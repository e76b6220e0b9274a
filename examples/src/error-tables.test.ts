import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "@jest/globals";
import * as client from "@metasrv/meta-client";
import { ReasonSchema } from "@metasrv/proto/metasrv/v1";

const docs = resolve(fileURLToPath(new URL("../../docs", import.meta.url)));

test("the client guide lists every error class with its code", async () => {
  const guide = await readFile(`${docs}/client.md`, "utf8");
  const listed = [...guide.matchAll(/^\| `(\w+Error)` +\| `(\w+)` +\|/gmu)].map(([, name, code]) => `${name} ${code}`);
  const { ClosedError, InvalidArgumentError, LeaderStuckError, LimitExceededError, LockLostError } = client;
  const {
    PermissionDeniedError,
    UnauthenticatedError,
    SelfDeadlockError,
    UnavailableError,
    UnexpectedError,
    WaitTimeoutError,
  } = client;
  const errors = [
    ...[ClosedError, InvalidArgumentError, LeaderStuckError].map((Class) => new Class("")),
    ...[LimitExceededError, LockLostError, SelfDeadlockError].map((Class) => new Class("")),
    ...[PermissionDeniedError, UnauthenticatedError].map((Class) => new Class("")),
    ...[new UnavailableError("", []), new UnexpectedError(""), new WaitTimeoutError("")],
  ];
  const exported = Object.keys(client).filter((name) => name.endsWith("Error") && name !== "MetaError");
  expect(errors.map(({ name }) => name).sort()).toEqual(exported.sort());
  expect(listed.sort()).toEqual(errors.map(({ name, code }) => `${name} ${code}`).sort());
});

test("the guide to other languages lists every reason of an error", async () => {
  const guide = await readFile(`${docs}/other-languages.md`, "utf8");
  const rows = guide.match(/^\| `[A-Z_]+` +\| \d+ .*$/gmu) ?? [];
  const listed = [...rows.join("").matchAll(/`(?:REASON)?(_\w+)`/gu)].map(([, name = ""]) => `REASON${name}`);
  const reasons = ReasonSchema.values.map(({ name }) => name);
  expect(listed.sort()).toEqual(reasons.filter((name) => name !== "REASON_UNSPECIFIED").sort());
});
