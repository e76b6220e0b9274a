import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { leakCheck } from "@metasrv/testing";
import { bin, Metactl } from "../../test-support/metactl.js";

const checkLeaks = leakCheck();
const timeoutMs = 60_000;

const searched = (process.env.PATH ?? "").split(delimiter);

/**
 * `test`, or `test.skip` with what is missing in the title. A shell must be installed: it looks for its functions at fixed places,
 * and so cannot be unpacked elsewhere, as other programs of tests are.
 */
function testWith(shell: string) {
  const isThere = searched.some((folder) => existsSync(join(folder, shell)));
  return (title: string, body: () => Promise<void>) => {
    if (isThere) {
      test(`${shell} ${title}`, body, timeoutMs);
    } else {
      test.skip(`${shell} ${title} (${shell} is not installed)`, () => undefined);
    }
  };
}

let folder: string;
let env: Record<string, string>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "metactl-completion-"));
  await symlink(bin, join(folder, "metactl"));
  await writeFile(join(folder, "nightly.dump"), "");
  env = { PATH: [folder, ...searched].join(delimiter), TERM: "xterm", HOME: folder };
});

afterAll(async () => {
  await rm(folder, { recursive: true });
  await checkLeaks();
});

const killLine = "\x15";

// The escapes are those by which a shell draws its line anew.
const typed = (): [text: string, becomes: RegExp][] => [
  ["metactl rele\t", /metactl release/],
  ["metactl --js\t", /metactl --json/],
  ["metactl --json wat\t", /metactl --json watch/],
  ["metactl run --gra\t", /metactl run --grace/],
  ["metactl completion fi\t", /metactl completion fish/],
  [`metactl run --name x -- cat ${folder}/night\t`, /nightly\.dump/],
];

/** The line that the guide wants in the file which a shell reads at its start. */
async function setUpOf(shell: string): Promise<string> {
  const guide = await readFile(new URL("../../../../docs/cli.md", import.meta.url), "utf8");
  return new RegExp(`^ {4}(.*metactl completion ${shell}.*?) *# ~/`, "m").exec(guide)?.[1] ?? "";
}

const shells = [
  ["bash", ["--norc", "--noprofile", "-i"]],
  ["zsh", ["-f", "-i"]],
] as const;

for (const [shell, args] of shells) {
  testWith(shell)("completes commands, options and files", async () => {
    const setUp = await setUpOf(shell);
    await using terminal = Metactl.startOtherAtTerminal(shell, { args, env });
    terminal.write(`${setUp}\n`);
    for (const [text, becomes] of typed()) {
      terminal.write(`${killLine}${text}`);
      await terminal.written(becomes);
    }
    // It ends by itself, and has written its history by then.
    terminal.write(`${killLine}exit\n`);
    await terminal.ended;
  });
}

testWith("fish")("completes commands, options and files", async () => {
  const setUp = await setUpOf("fish");
  const completed = async (line: string) => {
    const script = `${setUp}; complete --do-complete '${line}'`;
    const { stdout } = await promisify(execFile)("fish", ["--no-config", "-c", script], { env, cwd: folder });
    return stdout.split("\n").map((word) => word.split("\t")[0]);
  };
  expect(await completed("metactl rele")).toEqual(["release", ""]);
  expect(await completed("metactl --js")).toEqual(["--json", ""]);
  expect(await completed("metactl --json wat")).toEqual(["watch", ""]);
  expect(await completed("metactl run --gra")).toEqual(["--grace", ""]);
  expect(await completed("metactl completion ")).toEqual(["bash", "fish", "zsh", ""]);
  expect(await completed("metactl run --name x -- cat night")).toEqual(["nightly.dump", ""]);
  // No file is offered where there must be a command.
  expect(await completed("metactl night")).toEqual([""]);
});
