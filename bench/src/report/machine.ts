import { execFile } from "node:child_process";
import { readFile, statfs } from "node:fs/promises";
import { createRequire } from "node:module";
import { cpus, release, tmpdir, totalmem, type } from "node:os";
import { promisify } from "node:util";
import { findOrInstall, type ToolName } from "@metasrv/testing";

/** The machine and the versions that were measured. */
export interface Machine {
  readonly date: string;
  readonly system: string;
  readonly processor: string;
  readonly memory: string;
  /** The file system of the folder in which etcd and Redis keep their data. */
  readonly fileSystem: string;
  readonly versions: Readonly<Record<string, string>>;
}

/** Looks up what a reader must know to judge the figures. It includes nothing that names the machine or its user. */
export async function describeMachine(): Promise<Machine> {
  const processors = cpus();
  return {
    date: new Date().toISOString().slice(0, 10),
    system: `${type()} ${release()}`,
    processor: `${processors.length} cores, ${processors[0]?.model ?? "unknown"}`,
    memory: `${Math.round(totalmem() / 1024 ** 3)} GiB`,
    fileSystem: await fileSystemOf(tmpdir()),
    versions: {
      "Node.js": process.versions.node,
      etcd: await toolVersion("etcd", /etcd Version: (\S+)/),
      Redis: await toolVersion("redis-server", /v=(\S+)/),
      h2load: await toolVersion("h2load", /nghttp2\/(\S+)/),
      ...Object.fromEntries(
        await Promise.all(packages.map(async (name) => [name, await packageVersion(name)] as const)),
      ),
    },
  };
}

/** What a reader must know, a line each. */
export function machineLines({ date, system, processor, memory, fileSystem, versions }: Machine): readonly string[] {
  return [
    `Measured on ${date} on ${system}, ${processor}, ${memory}`,
    `Data of etcd and Redis on ${fileSystem}`,
    Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(", "),
  ];
}

const packages = [
  "@metasrv/metasrv",
  "@metasrv/meta-client",
  "@connectrpc/connect-node",
  "@grpc/grpc-js",
  "etcd3",
  "ioredis",
  "redlock",
  "redis-semaphore",
];

async function toolVersion(tool: ToolName, pattern: RegExp): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(await findOrInstall(tool), ["--version"]);
    return pattern.exec(stdout)?.[1] ?? "unknown";
  } catch {
    return "not there";
  }
}

/**
 * The version that a package states. The package is found by its folder, because not every package exports its
 * package.json.
 */
async function packageVersion(name: string): Promise<string> {
  for (const folder of createRequire(import.meta.url).resolve.paths(name) ?? []) {
    try {
      const manifest = JSON.parse(await readFile(`${folder}/${name}/package.json`, "utf8")) as { version: string };
      return manifest.version.replace(/^v/, "");
    } catch {
      // The package may be in a folder further up.
    }
  }
  return "unknown";
}

// From the kernel's magic numbers, linux/magic.h.
const fileSystems = new Map([
  [0xef53, "ext4"],
  [0x58465342, "XFS"],
  [0x9123683e, "btrfs"],
  [0x01021994, "tmpfs (in memory: an fsync costs nothing)"],
  [0x794c7630, "overlayfs"],
]);

async function fileSystemOf(folder: string): Promise<string> {
  const { type: magic } = await statfs(folder);
  return fileSystems.get(magic) ?? `type 0x${magic.toString(16)}`;
}
