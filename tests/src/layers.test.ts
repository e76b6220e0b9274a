import { readdir, readFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "@jest/globals";
import ts from "typescript";

const packages = resolve(fileURLToPath(new URL("../../packages", import.meta.url)));

/** The folders of metasrv, the lowest layer first. A file imports from its own folder and from those before it. */
const layers = [
  "model",
  "config",
  "tls",
  "log",
  "log/etcd/rpc",
  "log/etcd",
  "fold",
  "node",
  "metrics",
  "api",
  "security",
  "session",
  "http",
  ".",
];

/** Pairs of folders that must not import from each other, although one is below the other. */
const strangers = [
  ["fold", "log/etcd"],
  ["fold", "log/etcd/rpc"],
  ["node", "log/etcd"],
  ["node", "log/etcd/rpc"],
  ["api", "log/etcd"],
  ["security", "log/etcd"],
  ["session", "log/etcd"],
  ["http", "log/etcd"],
];

/** What each package may import of the others. */
const knows: Record<string, readonly string[]> = {
  proto: [],
  wire: ["@metasrv/proto"],
  console: [],
  metasrv: ["@metasrv/console", "@metasrv/proto", "@metasrv/wire"],
  "meta-client": ["@metasrv/proto", "@metasrv/wire"],
  cli: ["@metasrv/meta-client"],
};

interface Import {
  readonly from: string;
  readonly to: string;
}

/** All imports of a package's own files, without tests and generated code. Paths are relative to its `src`. */
async function importsOf(name: string): Promise<Import[]> {
  const src = join(packages, name, "src");
  const imports: Import[] = [];
  for (const file of await readdir(src, { recursive: true })) {
    if (!/\.tsx?$/.test(file) || file.endsWith(".test.ts") || file.startsWith("gen/")) {
      continue;
    }
    const text = await readFile(join(src, file), "utf8");
    // Imports of both are written with .js.
    const from = file.replace(/\.tsx$/, ".ts");
    for (const { fileName } of ts.preProcessFile(text).importedFiles) {
      const isOwn = fileName.startsWith(".");
      const to = isOwn ? relative(src, resolve(src, dirname(file), fileName)).replace(/\.js$/, ".ts") : fileName;
      imports.push({ from, to });
    }
  }
  return imports;
}

/** The files of one circle of imports; empty if there is none. */
function circle(imports: readonly Import[]): readonly string[] {
  const next = new Map<string, string[]>();
  for (const { from, to } of imports) {
    next.set(from, [...(next.get(from) ?? []), to]);
  }
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): readonly string[] => {
    if (path.includes(file)) {
      return [...path.slice(path.indexOf(file)), file];
    }
    if (done.has(file)) {
      return [];
    }
    for (const to of next.get(file) ?? []) {
      const found = visit(to, [...path, file]);
      if (found.length > 0) {
        return found;
      }
    }
    done.add(file);
    return [];
  };
  for (const file of next.keys()) {
    const found = visit(file, []);
    if (found.length > 0) {
      return found;
    }
  }
  return [];
}

const text = ({ from, to }: Import) => `${from} imports ${to}`;

describe.each(Object.keys(knows))("packages/%s", (name) => {
  test("imports only the packages that it may know", async () => {
    const ours = (await importsOf(name)).filter(({ to }) => to.startsWith("@metasrv/"));
    const allowed = knows[name] ?? [];
    const wrong = ours.filter(({ to }) => !allowed.some((known) => to === known || to.startsWith(`${known}/`)));
    expect(wrong.map(text)).toEqual([]);
  });

  test("has no circle of imports, types included", async () => {
    expect(circle(await importsOf(name))).toEqual([]);
  });
});

test("a circle would be found", () => {
  const imports = [
    { from: "a.ts", to: "b.ts" },
    { from: "b.ts", to: "c.ts" },
    { from: "c.ts", to: "b.ts" },
  ];
  expect(circle(imports)).toEqual(["b.ts", "c.ts", "b.ts"]);
});

test("in metasrv, nothing imports upwards, and what only the log's seam joins does not know each other", async () => {
  const own = (await importsOf("metasrv")).filter(({ to }) => to.endsWith(".ts"));
  expect(own.length).toBeGreaterThan(200);
  const wrong = own.filter((file) => {
    const [from, to] = [dirname(file.from), dirname(file.to)];
    const upwards = layers.indexOf(to) > layers.indexOf(from) || !layers.includes(from);
    return upwards || strangers.some((pair) => from !== to && pair.includes(from) && pair.includes(to));
  });
  expect(wrong.map(text)).toEqual([]);
});
