import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

/** Runs a command that is found in the PATH of this process: jest gives tests a `process.env` of their own. */
async function run(command: string, args: readonly string[]): Promise<void> {
  await promisify(execFile)(command, args, { env: process.env });
}

/**
 * Downloads a Debian package, with those that it needs and the system lacks, and unpacks it into a cache folder of this
 * user. That needs no rights, changes nothing in the system and starts no service.
 *
 * @returns the folder that stands for the system's root
 * @throws Error that says what to install when there is no apt-get, or no such package
 */
export async function unpackedDebianPackage(name: string): Promise<string> {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "metasrv-testing");
  const folder = join(cache, name);
  if (existsSync(folder)) {
    return folder;
  }
  // Everything happens in a folder of its own, which gets its final name when it is complete. So it does no harm if
  // another process does the same at the same time.
  const work = await mkdtemp(join(tmpdir(), `metasrv-install-${name}-`));
  try {
    const archives = join(work, "archives");
    await download(name, work, archives);
    const root = join(work, "root");
    for (const file of await readdir(archives)) {
      if (file.endsWith(".deb")) {
        await run("dpkg", ["-x", join(archives, file), root]);
      }
    }
    await mkdir(cache, { recursive: true });
    const complete = await mkdtemp(join(cache, `.${name}-`));
    await run("cp", ["-a", `${root}/.`, complete]);
    await rename(complete, folder).catch(async (error: unknown) => {
      await rm(complete, { recursive: true, force: true });
      if (!existsSync(folder)) {
        throw error;
      }
    });
    return folder;
  } catch (error) {
    throw new Error(`the Debian package ${name} is needed: apt-get install ${name}`, { cause: error });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Where an unpacked package has libraries, for `LD_LIBRARY_PATH`. Some look for others in folders of the system's below these. */
export async function librariesIn(root: string): Promise<string[]> {
  const folders = await foldersIn(join(root, "usr/lib"));
  const own = folders.filter((folder) => folder.includes("-linux-"));
  return (await Promise.all(own.map(async (folder) => [folder, ...(await foldersIn(folder))]))).flat();
}

async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(folder, name));
}

async function download(name: string, work: string, archives: string): Promise<void> {
  const lists = join(work, "lists");
  await mkdir(join(archives, "partial"), { recursive: true });
  await mkdir(join(lists, "partial"), { recursive: true });
  const options = ["-q", "-o", "Debug::NoLocking=1", "-o", `Dir::Cache::archives=${archives}`];
  // As root, apt would download as another user, who may not enter our folder.
  options.push("-o", "APT::Sandbox::User=", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=");
  const install = ["install", "--download-only", "--yes", "--reinstall", "--no-install-recommends", name];
  try {
    await run("apt-get", [...options, ...install]);
  } catch {
    // The system has no package lists, or old ones, so lists of our own are used.
    options.push("-o", `Dir::State::lists=${lists}`);
    await run("apt-get", [...options, "update"]);
    await run("apt-get", [...options, ...install]);
  }
}
