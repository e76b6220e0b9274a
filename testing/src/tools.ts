import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { delimiter, join, relative } from "node:path";
import { promisify } from "node:util";

/** Runs a command that is found in the same PATH as the tools: jest gives tests a `process.env` of their own. */
async function run(command: string, args: readonly string[]): Promise<void> {
  await promisify(execFile)(command, args, { env: process.env });
}

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
 * the PATH, else the one of its Debian package, which is downloaded and unpacked into a cache folder of this user. That
 * needs no rights, changes nothing in the system and starts no service.
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

async function installed(name: ToolName, tool: Tool): Promise<string> {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "metasrv-testing");
  const folder = join(cache, name);
  const program = join(folder, "run");
  if (isExecutable(program)) {
    return program;
  }
  // Everything happens in a folder of its own, which gets its final name when it is complete. So it does no harm if
  // another process does the same at the same time.
  const work = await mkdtemp(join(tmpdir(), `metasrv-install-${name}-`));
  try {
    const root = join(work, "root");
    await download(tool.debianPackage, work);
    await unpack(join(work, "archives"), root);
    await writeFile(join(root, "run"), await wrapper(name, tool, root));
    await chmod(join(root, "run"), 0o755);
    await mkdir(cache, { recursive: true });
    const complete = await mkdtemp(join(cache, `.${name}-`));
    await run("cp", ["-a", `${root}/.`, complete]);
    await rename(complete, folder).catch(async (error: unknown) => {
      await rm(complete, { recursive: true, force: true });
      if (!isExecutable(program)) {
        throw error;
      }
    });
    return program;
  } catch (error) {
    throw new Error(
      `${name} is needed: install it (Debian: apt-get install ${tool.debianPackage}) or set ${tool.variable} to its path`,
      { cause: error },
    );
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Downloads the package, and those packages that it needs and that the system lacks. */
async function download(debianPackage: string, work: string): Promise<void> {
  const archives = join(work, "archives");
  const lists = join(work, "lists");
  await mkdir(join(archives, "partial"), { recursive: true });
  await mkdir(join(lists, "partial"), { recursive: true });
  const options = ["-q", "-o", "Debug::NoLocking=1", "-o", `Dir::Cache::archives=${archives}`];
  options.push("-o", `Dir::Cache::pkgcache=`, "-o", `Dir::Cache::srcpkgcache=`);
  // As root, apt would download as another user, who may not enter our folder.
  options.push("-o", "APT::Sandbox::User=");
  const install = ["install", "--download-only", "--yes", "--reinstall", "--no-install-recommends", debianPackage];
  try {
    await run("apt-get", [...options, ...install]);
  } catch {
    // The system has no package lists, or old ones, so lists of our own are used.
    options.push("-o", `Dir::State::lists=${lists}`);
    await run("apt-get", [...options, "update"]);
    await run("apt-get", [...options, ...install]);
  }
}

async function unpack(archives: string, root: string): Promise<void> {
  const packages = (await readdir(archives)).filter((file) => file.endsWith(".deb"));
  for (const file of packages) {
    await run("dpkg", ["-x", join(archives, file), root]);
  }
}

/**
 * Writes a script that runs the program with the libraries that came with it. It replaces itself by the program, so its
 * pid is the program's.
 */
async function wrapper(name: ToolName, { path: own }: Tool, root: string): Promise<string> {
  const program = [own ?? join("usr/bin", name), join("usr/sbin", name)].find((path) => isExecutable(join(root, path)));
  if (program === undefined) {
    throw new Error(`no program ${name} in the package`);
  }
  // Some libraries are in a folder below, which those that need them name by its path in the system.
  const folders = await readdir(join(root, "usr/lib"), { withFileTypes: true, recursive: true }).catch(() => []);
  const path = folders
    .filter((entry) => entry.isDirectory())
    .map(({ parentPath, name: folder }) => relative(root, join(parentPath, folder)))
    .filter((folder) => /^usr\/lib\/[^/]+-linux-[^/]+(\/[^/]+)?$/u.test(folder))
    .map((folder) => `$here/${folder}`);
  return [
    "#!/bin/sh",
    'here=$(cd "$(dirname "$0")" && pwd)',
    ...(path.length > 0 ? [`export LD_LIBRARY_PATH="${path.join(":")}"`] : []),
    `exec "$here/${program}" "$@"`,
    "",
  ].join("\n");
}
