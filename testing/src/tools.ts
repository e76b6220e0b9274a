import { randomUUID } from "node:crypto";
import { accessSync, constants } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { delimiter, join, relative } from "node:path";
import { librariesIn, unpackedDebianPackage } from "./debian-package.js";

interface Tool {
  /** The environment variable that names the program if the user has one. */
  readonly variable: string;
  readonly debianPackage: string;
  /** Where the program is in its package; absent: in `usr/bin` or `usr/sbin`, by its name. */
  readonly path?: string;
}

const TOOLS = {
  etcd: { variable: "ETCD_BIN", debianPackage: "etcd-server" },
  "redis-server": { variable: "REDIS_BIN", debianPackage: "redis-server" },
  nginx: { variable: "NGINX_BIN", debianPackage: "nginx-light" },
  haproxy: { variable: "HAPROXY_BIN", debianPackage: "haproxy" },
  prometheus: { variable: "PROMETHEUS_BIN", debianPackage: "prometheus" },
  promtool: { variable: "PROMTOOL_BIN", debianPackage: "prometheus" },
  // In usr/bin is a script that looks for the browser at its place in the system.
  chromium: { variable: "CHROMIUM_BIN", debianPackage: "chromium", path: "usr/lib/chromium/chromium" },
  h2load: { variable: "H2LOAD_BIN", debianPackage: "nghttp2-client" },
} as const satisfies Record<string, Tool>;

/** A program that tests or benchmarks run and npm cannot install. */
export type ToolName = keyof typeof TOOLS;

/**
 * Finds a program: the one that its environment variable names (`ETCD_BIN`, `NGINX_BIN` and so on), else the one in
 * the PATH, else the one of its Debian package, see {@link unpackedDebianPackage}.
 *
 * @throws Error that says what to install when there is neither such a program nor apt-get
 */
export async function findOrInstall(name: ToolName): Promise<string> {
  const tool: Tool = TOOLS[name];
  const own = process.env[tool.variable];
  if (own !== undefined && own !== "") {
    if (!isExecutable(own)) {
      throw new Error(`${tool.variable} is set to ${own}, which is no executable file`);
    }
    return own;
  }
  const directories = (process.env.PATH ?? "").split(delimiter).filter((directory) => directory !== "");
  const found = directories.map((directory) => join(directory, name)).find(isExecutable);
  return found ?? (await installed(name, tool));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function installed(name: ToolName, { debianPackage, path, variable }: Tool): Promise<string> {
  try {
    const root = await unpackedDebianPackage(debianPackage);
    const script = join(root, `run-${name}`);
    if (!isExecutable(script)) {
      const own = join(root, `.${randomUUID()}`);
      await writeFile(own, await wrapper(name, root, path), { mode: 0o755 });
      await rename(own, script);
    }
    return script;
  } catch (error) {
    throw new Error(
      `${name} is needed: install it (Debian: apt-get install ${debianPackage}) or set ${variable} to its path`,
      { cause: error },
    );
  }
}

/**
 * A script that runs the program with the libraries that came with it. It replaces itself by the program, so its pid is the
 * program's.
 */
async function wrapper(name: ToolName, root: string, own = join("usr/bin", name)): Promise<string> {
  const program = [own, join("usr/sbin", name)].find((path) => isExecutable(join(root, path)));
  if (program === undefined) {
    throw new Error(`no program ${name} in the package`);
  }
  const libraries = (await librariesIn(root)).map((path) => `$here/${relative(root, path)}`);
  return [
    "#!/bin/sh",
    'here=$(cd "$(dirname "$0")" && pwd)',
    ...(libraries.length > 0 ? [`export LD_LIBRARY_PATH="${libraries.join(":")}"`] : []),
    `exec "$here/${program}" "$@"`,
    "",
  ].join("\n");
}
