import { mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { until } from "@metasrv/testing";
import { systemClock as clock } from "@metasrv/wire";
import { pino } from "pino";
import { openAuditFile } from "./audit-file.js";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "metasrv-audit-"));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

function startLog() {
  const logged: { msg: string; lostLines?: number; err?: { code?: string } }[] = [];
  const logger = pino({}, { write: (line: string) => logged.push(JSON.parse(line) as (typeof logged)[number]) });
  return { logger, logged };
}

test("lines are added to what is there, and to a new file after the old one was renamed", async () => {
  const { logger } = startLog();
  const path = join(folder, "audit.jsonl");
  const first = await openAuditFile({ file: path }, { logger, clock });
  first.write("1\n");
  await first.close();
  const second = await openAuditFile({ file: path }, { logger, clock });
  second.write("2\n");
  await until(async () => (await readFile(path, "utf8")) === "1\n2\n", { what: "the second line" });
  await rename(path, `${path}.1`);
  second.write("3\n");
  second.reopen();
  await until(
    () =>
      readFile(path, "utf8").then(
        () => true,
        () => false,
      ),
    { what: "the new file" },
  );
  second.write("4\n");
  await second.close();
  const lines = (await readFile(`${path}.1`, "utf8")) + (await readFile(path, "utf8"));
  expect(lines).toBe("1\n2\n3\n4\n");
});

test("a file that cannot be opened is an error that says what to do", async () => {
  const { logger } = startLog();
  const path = join(folder, "nowhere", "audit.jsonl");
  await expect(openAuditFile({ file: path }, { logger, clock })).rejects.toThrow(
    /^the audit cannot be written to .*nowhere.audit\.jsonl: .*ENOENT.*; give this user the right to write there$/,
  );
});

test("a full disk is logged once, bounded in memory, and hinders nobody", async () => {
  const { logger, logged } = startLog();
  const file = await openAuditFile({ file: "/dev/full" }, { logger, clock });
  const line = `${"x".repeat(64 * 1024)}\n`;
  for (let count = 0; count < 100; count++) {
    file.write(line);
  }
  await until(() => logged.length > 0, { what: "the log" });
  file.write(line);
  await file.close();
  expect(logged).toMatchObject([{ msg: "the audit cannot be written; locks are served without it" }]);
});
