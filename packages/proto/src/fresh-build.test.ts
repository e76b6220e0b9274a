import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "@jest/globals";

// A cache that does not know what a build depends on gives out old code for new sources. Nothing else notices, so this
// test builds a copy of the workspace, changes it, and looks at what comes out.

const root = fileURLToPath(new URL("../../..", import.meta.url));
const PARTS = [
  "package.json",
  "package-lock.json",
  "nx.json",
  "tsconfig.base.json",
  "buf.yaml",
  "buf.gen.yaml",
  ".gitignore",
];
const NOT_SOURCES = new Set(["node_modules", "dist", ".nx"]);

let copy: string;

beforeAll(async () => {
  copy = await mkdtemp(join(tmpdir(), "metasrv-build-"));
  for (const part of [...PARTS, "proto", "packages/proto"]) {
    await cp(join(root, part), join(copy, part), {
      recursive: true,
      filter: (source) => !NOT_SOURCES.has(basename(source)),
    });
  }
  await symlink(join(root, "node_modules"), join(copy, "node_modules"));
});

afterAll(async () => {
  await rm(copy, { recursive: true, force: true });
});

/** Builds the copy; returns what nx said. */
async function build(): Promise<string> {
  // Nx tells its tasks about the workspace that it runs for; the copy is another one.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(NX|npm)_|^NODE_OPTIONS$/u.test(name)),
  );
  const { stdout } = await promisify(execFile)("node_modules/.bin/nx", ["build", "@metasrv/proto"], {
    cwd: copy,
    env: { ...env, NX_DAEMON: "false", NX_TUI: "false" },
  });
  return stdout;
}

async function edit(file: string, from: string, to: string): Promise<void> {
  const path = join(copy, file);
  const before = await readFile(path, "utf8");
  expect(before).toContain(from);
  await writeFile(path, before.replace(from, to));
}

async function built(file: string): Promise<string> {
  return await readFile(join(copy, "packages/proto/dist", file), "utf8");
}

test("a build is cached, but never older than its .proto files and buf settings", async () => {
  await build();
  expect(await build()).toContain("cache instead of running the command for 2 out of 2 tasks");

  const declaration = "message RenewRequest {";
  await edit("proto/metasrv/v1/lock.proto", declaration, `${declaration}\n  string added_field = 1000;`);
  await build();
  expect(await built("gen/metasrv/v1/lock_pb.d.ts")).toContain("addedField: string");

  // Code that was generated and then edited by hand, or comes from another branch, is not what the .proto files say.
  await edit("packages/proto/src/gen/metasrv/v1/lock_pb.ts", "addedField: string", "byHand: string");
  await build();
  expect(await built("gen/metasrv/v1/lock_pb.d.ts")).toContain("addedField: string");

  await edit("buf.gen.yaml", "- import_extension=js", "- import_extension=js\n      - json_types=true");
  await build();
  expect(await built("gen/metasrv/v1/lock_pb.d.ts")).toContain("RenewRequestJson");
}, 120_000);
