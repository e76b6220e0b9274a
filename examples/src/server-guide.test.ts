import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
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
