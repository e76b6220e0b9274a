import { chmod, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { leakCheck, type Metasrv, startMetasrv } from "@metasrv/testing";
import { bin, Metactl, metactl } from "../test-support/metactl.js";
import { exitCodes } from "./exit-codes.js";
import { readProfile } from "./profiles.js";
import { createProgram } from "./program.js";

const checkLeaks = leakCheck();
const timeoutMs = 60_000;
const guide = await readFile(new URL("../../../docs/cli.md", import.meta.url), "utf8");

/** The first cells of the table under a heading, without their backquotes. */
function firstCells(heading: string): string[] {
  const section = guide.split(/^#+ /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  const [, ...rows] = [...section.matchAll(/^\| ([^|]+?) +\|/gm)].map(([, cell = ""]) => cell.replaceAll("`", ""));
  return rows.filter((cell) => !/^-+$/.test(cell));
}

const program = createProgram(() => Promise.resolve());

describe("the tables of the guide have", () => {
  test("every command", () => {
    const names = firstCells("Command line").map((cell) => cell.split(" ")[0]);
    expect([...names].sort()).toEqual(program.commands.map((command) => command.name()).sort());
  });

  test("every exit code", () => {
    const own = Object.values(exitCodes).filter((code) => code !== exitCodes.ok);
    expect(firstCells("Exit codes").slice(1).map(Number)).toEqual(own);
  });

  test("every option that all commands have, but for those that are told of below", () => {
    const below = ["--json", "--quiet", "--verbose", "--version"];
    const options = program.options.flatMap(({ long }) => long ?? []).filter((option) => !below.includes(option));
    expect(firstCells("Settings").sort()).toEqual(options.sort());
  });
});

describe("what the guide shows works:", () => {
  let folder: string;
  let server: Metasrv;

  /** Each script of the guide says under which lock it was run. */
  beforeAll(async () => {
    server = await startMetasrv();
    folder = await mkdtemp(join(tmpdir(), "metactl-guide-"));
    const script = '#!/bin/sh\necho "${0##*/} under $METASRV_LOCK_NAME"\ncat >/dev/null\n';
    for (const name of ["backup.sh", "migrate.sh", "report.sh", "import.sh", "mail"]) {
      await writeFile(join(folder, name), script);
      await chmod(join(folder, name), 0o755);
    }
    await writeFile(join(folder, "cache"), "");
    await symlink(bin, join(folder, "metactl"));
  });

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  const lines = [...guide.matchAll(/^ {4}(metactl run .*?)(?: {2,}#.*)?$/gm)].map(([, line = ""]) => line);

  test("there are such commands", () => {
    expect(lines.length).toBeGreaterThanOrEqual(5);
  });

  test.each(lines)(
    "%s",
    async (line) => {
      const env = {
        METASRV_ENDPOINTS: server.url,
        PATH: [folder, process.env.PATH].join(delimiter),
        SHELL: "/bin/sh",
      };
      const args = ["-c", `cd ${folder} && ${line} </dev/null`];
      await using shell = Metactl.startOther("sh", { args, env });
      const [, name = ""] = /--name (\S+)/.exec(line) ?? [];
      const ended = await shell.ended;
      expect(ended).toMatchObject({ code: 0, stderr: "" });
      expect(ended.stdout).toMatch(new RegExp(`^(?:backup|migrate|report|import|mail)(?:\\.sh)? under ${name}\n$`));
    },
    timeoutMs,
  );

  test.each(firstCells("Command line").map((cell) => cell.split(" ")[0] ?? ""))(
    "metactl %s --help",
    async (command) => {
      const ended = await metactl({ args: [command, "--help"] });
      expect(ended).toMatchObject({ code: 0, stderr: "" });
      expect(ended.stdout).toContain(`Usage: metactl ${command}`);
    },
    timeoutMs,
  );

  test("the file of profiles", async () => {
    const [, text = ""] = /```yaml\n(.*?)```/s.exec(guide) ?? [];
    const file = join(folder, "cli.yaml");
    await writeFile(file, text);
    expect(readProfile(file, undefined)).toEqual({
      endpoints: ["https://locks-1.example:3002", "https://locks-2.example:3002"],
      ca: join(folder, "ca.pem"),
    });
  });
});

afterAll(checkLeaks);
