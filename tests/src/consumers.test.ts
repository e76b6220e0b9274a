import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { leakCheck, type Metasrv, startMetasrv } from "@metasrv/testing";
import { build } from "esbuild";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));
const packages = ["proto", "wire", "meta-client", "console", "metasrv", "cli"];
/** A project of somebody who has installed what would be published. */
let project: string;
let server: Metasrv;

beforeAll(async () => {
  server = await startMetasrv();
  project = await realpath(await mkdtemp(join(tmpdir(), "metasrv-consumer-")));
  const workspaces = packages.map((name) => `--workspace=@metasrv/${name}`);
  await run("npm", ["pack", "--pack-destination", project, ...workspaces], { cwd: root });
  const declared = new Set<string>();
  for (const name of packages) {
    const folder = join(project, "node_modules/@metasrv", name);
    await mkdir(folder, { recursive: true });
    const version = await versionOf(join(root, "packages", name));
    await run("tar", ["-xzf", `metasrv-${name}-${version}.tgz`, "-C", folder, "--strip-components=1"], {
      cwd: project,
    });
    const { dependencies } = await manifestIn(folder);
    for (const dependency of Object.keys(dependencies).filter((each) => !each.startsWith("@metasrv/"))) {
      declared.add(dependency);
    }
  }
  // Nothing is there but what the packages declare, so that one which they use and do not declare is missed.
  for (const name of [...declared, "typescript", "@types/node", "undici-types"]) {
    await link(name);
  }
}, 120_000);

afterAll(async () => {
  await rm(project, { recursive: true, force: true });
  await server[Symbol.asyncDispose]();
});

interface Manifest {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

async function manifestIn(folder: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as Manifest;
}

async function versionOf(folder: string): Promise<string> {
  return (await manifestIn(folder)).version;
}

async function link(name: string): Promise<void> {
  const path = join(project, "node_modules", name);
  await mkdir(dirname(path), { recursive: true });
  await symlink(join(root, "node_modules", name), path);
}

/** Writes files of the project, each in a folder of its own. */
async function write(folder: string, files: Readonly<Record<string, string>>): Promise<string> {
  const path = join(project, folder);
  await mkdir(path);
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(path, name), text);
  }
  return path;
}

async function node(cwd: string, ...args: string[]): Promise<string> {
  const { stdout } = await run(process.execPath, args, {
    cwd,
    env: { ...process.env, NODE_OPTIONS: "", FORCE_COLOR: "0", METASRV_URL: server.url },
  });
  return stdout;
}

/** Locks, and prints "true": whether the error of a bad call is known by its class. */
const body = `
  const meta = new MetaClient({ endpoints: [process.env.METASRV_URL], discover: false });
  await meta.withLock("consumer", () => undefined);
  const error = await meta.lock("").catch((refused) => refused);
  console.log(error instanceof InvalidArgumentError);
  await meta.close();`;
const esm = `import { InvalidArgumentError, MetaClient } from "@metasrv/meta-client";\n${body}`;
const commonJs = `const { InvalidArgumentError, MetaClient } = require("@metasrv/meta-client");\n(async () => {${body}})();`;

/** Connect's types name some that only the library of browsers has. */
const libraries = { lib: ["esnext"], skipLibCheck: true };
const everything = { lib: ["esnext", "dom"], skipLibCheck: false };

describe("from what is packed", () => {
  test("ES modules use the client", async () => {
    const folder = await write("esm", { "main.mjs": esm });
    expect(await node(folder, "main.mjs")).toBe("true\n");
  });

  test("CommonJS requires the client", async () => {
    const folder = await write("common-js", { "main.cjs": commonJs });
    expect(await node(folder, "main.cjs")).toBe("true\n");
  });

  test("a program starts a server in itself, by both", async () => {
    const start = `const server = await startServer({ bindAddr: "127.0.0.1:0" });
      process.env.METASRV_URL = "http://" + server.address;${body}\nawait server.stop();`;
    const folder = await write("server", {
      "main.mjs": `import { startServer } from "@metasrv/metasrv";\n${esm.replace(body, start)}`,
      "main.cjs": `const { startServer } = require("@metasrv/metasrv");\n${commonJs.replace(body, start)}`,
    });
    expect((await node(folder, "main.mjs")).trim().split("\n").at(-1)).toBe("true");
    expect((await node(folder, "main.cjs")).trim().split("\n").at(-1)).toBe("true");
  });

  test("the program of the server runs", async () => {
    const bin = join(project, "node_modules/@metasrv/metasrv/bin/metasrv.js");
    expect(await node(project, bin, "--version")).toBe(`${await versionOf(join(root, "packages/metasrv"))}\n`);
  });

  test("the command line runs a command under a lock", async () => {
    const bin = join(project, "node_modules/@metasrv/cli/bin/metactl.js");
    expect(await node(project, bin, "--version")).toBe(`${await versionOf(join(root, "packages/cli"))}\n`);
    const command = [process.execPath, "-p", "process.env.METASRV_LOCK_NAME + process.env.METASRV_LOCK_TOKEN"];
    const told = await node(project, bin, "--endpoints", server.url, "run", "--name", "orders/", "--", ...command);
    expect(told).toMatch(/^orders\/\d+\n$/);
  });

  test.each([
    ["node16, as an ES module, all types checked", "main.mts", { module: "node16", ...everything }],
    ["nodenext, as an ES module", "main.mts", { module: "nodenext" }],
    ["nodenext, as CommonJS", "main.cts", { module: "nodenext" }],
    ["bundler", "main.ts", { module: "esnext", moduleResolution: "bundler" }],
  ])(
    "TypeScript finds the types by %s",
    async (name, file, options) => {
      const compilerOptions = {
        ...libraries,
        ...options,
        target: "es2022",
        strict: true,
        noEmit: true,
        types: ["node"],
      };
      const folder = await write(`types, ${name}`, {
        "tsconfig.json": JSON.stringify({ compilerOptions, files: [file] }),
        [file]: `import { type FencingToken, type HeldLock, MetaClient } from "@metasrv/meta-client";
export async function tokenOf(url: string): Promise<FencingToken> {
  const meta = new MetaClient({ endpoints: [url] });
  const lock: HeldLock = await meta.lock("a");
  // @ts-expect-error -- a key is no text
  await meta.unlock({ key: "a" });
  return lock.token;
}\n`,
      });
      const told = await node(folder, join(root, "node_modules/typescript/bin/tsc"), "-p", ".").catch(
        (error: unknown) => (error as { readonly stdout: string }).stdout,
      );
      expect(told).toBe("");
    },
    60_000,
  );

  test("Jest tests use the client, as ES modules", async () => {
    const folder = await write("jest", {
      "package.json": JSON.stringify({ type: "module", jest: { transform: {}, testMatch: ["**/*.spec.js"] } }),
      "main.spec.js": `${esm.split("\n")[0] ?? ""}\ntest("locks", async () => {${body}});\n`,
    });
    await node(folder, "--experimental-vm-modules", join(root, "node_modules/jest/bin/jest.js"), "--rootDir", folder);
  });

  test("Jest tests use the client, as CommonJS, if its packages are transformed", async () => {
    const transform = { "^.+\\.js$": [join(root, "node_modules/@swc/jest"), { module: { type: "commonjs" } }] };
    const jest = { transform, testMatch: ["**/*.spec.js"], transformIgnorePatterns: ["node_modules/(?!@metasrv/)"] };
    const folder = await write("jest, common-js", {
      "package.json": JSON.stringify({ jest }),
      "main.spec.js": `${commonJs.split("\n")[0] ?? ""}\ntest("locks", async () => {${body}});\n`,
    });
    await node(folder, join(root, "node_modules/jest/bin/jest.js"), "--rootDir", folder);
  });

  test.each([
    ["an ES module", "esm", "main.mjs"],
    ["CommonJS", "cjs", "main.cjs"],
  ] as const)("esbuild bundles the client into one file, as %s", async (_, format, file) => {
    const folder = await write(`bundle, ${format}`, { "main.js": esm.replace(body, `(async () => {${body}})();`) });
    const outfile = join(project, `bundled-${format}`, file);
    const { warnings } = await build({
      entryPoints: [join(folder, "main.js")],
      outfile,
      bundle: true,
      format,
      platform: "node",
      target: "node20",
    });
    expect(warnings).toEqual([]);
    // Alone, so that nothing is found that is not in it.
    const alone = await mkdtemp(join(tmpdir(), "metasrv-bundle-"));
    try {
      await cp(outfile, join(alone, file));
      expect(await node(alone, file)).toBe("true\n");
    } finally {
      await rm(alone, { recursive: true, force: true });
    }
  });
});

afterAll(leakCheck());
