import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "@jest/globals";
import { helpOptions, tableOptions } from "./options-table.js";

const root = resolve(fileURLToPath(new URL("../..", import.meta.url)));
const guide = await readFile(`${root}/docs/server.md`, "utf8");

test("the table of options says what metasrv start --help says", async () => {
  const bin = `${root}/packages/metasrv/bin/metasrv.js`;
  const { stdout } = await promisify(execFile)(process.execPath, [bin, "start", "--help"]);
  const options = helpOptions(stdout);
  expect(options.length).toBeGreaterThan(10);
  expect(tableOptions(guide)).toEqual(
    options.map(({ option, byDefault, meaning }) => ({ option, byDefault, meaning })),
  );
  for (const { option, variable } of options) {
    const [name = ""] = option.slice(2).split(" ");
    expect(variable).toBe(`METASRV_${name.toUpperCase().replaceAll("-", "_")}`);
  }
});

test("the log lines that the guide lists are there to be logged, at that level", async () => {
  const src = `${root}/packages/metasrv/src`;
  const files = (await readdir(src, { recursive: true })).filter((file) => /(?<!\.test)\.ts$/u.test(file));
  const source = (await Promise.all(files.map((file) => readFile(`${src}/${file}`, "utf8")))).join("\n");
  const isLogged = (level: string, message: string): boolean =>
    [...source.matchAll(new RegExp(`"${message}"`, "gu"))].some(({ index }) => {
      const before = source.slice(0, index);
      return before.slice(before.lastIndexOf("ogger.")).startsWith(`ogger.${level}(`);
    });
  const rows = [...guide.matchAll(/^\| (info|warn|error|debug) +\|([^|]*)\|/gmu)];
  expect(rows.length).toBeGreaterThan(10);
  for (const [, level = "", cell = ""] of rows) {
    const messages = [...cell.matchAll(/`([^`]+)`/gu)].map(([, message = ""]) => message);
    expect(messages.filter((message) => !isLogged(level, message))).toEqual([]);
  }
});
