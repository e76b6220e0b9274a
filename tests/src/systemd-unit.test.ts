import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "@jest/globals";
import { testWith } from "./test-with.js";

const run = promisify(execFile);
const path = fileURLToPath(new URL("../../ops/systemd/metasrv.service", import.meta.url));
const unit = await readFile(path, "utf8");

const testWithSystemd = await testWith("systemd-analyze", "--version");

testWithSystemd("systemd finds no fault in the unit", async () => {
  const folder = await mkdtemp(join(tmpdir(), "metasrv-unit-"));
  try {
    // The program need not be installed here.
    const copy = join(folder, "metasrv.service");
    await writeFile(copy, unit.replace("/usr/local/bin/metasrv", process.execPath));
    expect(await run("systemd-analyze", ["verify", copy])).toEqual({ stdout: "", stderr: "" });
  } finally {
    await rm(folder, { recursive: true });
  }
});

testWithSystemd("systemd rates what the unit may do as little", async () => {
  const { stdout } = await run("systemd-analyze", ["security", "--offline=true", "--no-pager", "--threshold=20", path]);
  // From 0 to 10. What is left is the network, which a server needs.
  expect(Number(/exposure level for metasrv\.service: ([\d.]+)/u.exec(stdout)?.[1])).toBeLessThan(2);
});

test("a stop is given longer than a server takes for one", () => {
  const [, seconds] = /^TimeoutStopSec=(\d+)s$/mu.exec(unit) ?? [];
  // docs/server.md: five seconds at most, and as much longer as --drain-ms is.
  expect(Number(seconds)).toBeGreaterThan(5);
  expect(unit).toContain("\nExecReload=/bin/kill -HUP $MAINPID\n");
});
