import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * Downloads a Debian package, with those that it needs and the system lacks, and unpacks it into a cache folder of this
 * user. That needs no rights and changes nothing in the system.
 *
 * @returns the folder that stands for the system's root
 */
export async function unpackedDebianPackage(name: string): Promise<string> {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "metasrv-testing");
  const folder = join(cache, name);
  if (existsSync(folder)) {
    return folder;
  }
  const work = await mkdtemp(join(tmpdir(), "metasrv-package-"));
  try {
    const archives = join(work, "archives");
    await download(name, work, archives);
    const root = join(work, "root");
    for (const file of await readdir(archives)) {
      if (file.endsWith(".deb")) {
        await run("dpkg", ["-x", join(archives, file), root]);
      }
    }
    // It takes its final name when it is complete, so another process that does the same is no danger.
    await mkdir(cache, { recursive: true });
    const complete = await mkdtemp(join(cache, `.${name}-`));
    await cp(root, complete, { recursive: true, verbatimSymlinks: true });
    await rename(complete, folder).catch(async (error: unknown) => {
      await rm(complete, { recursive: true });
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

async function download(name: string, work: string, archives: string): Promise<void> {
  const lists = join(work, "lists");
  await mkdir(join(archives, "partial"), { recursive: true });
  await mkdir(join(lists, "partial"), { recursive: true });
  const options = ["-q", "-o", "Debug::NoLocking=1", "-o", `Dir::Cache::archives=${archives}`];
  // As root, apt would download as a user who may not enter our folder.
  options.push("-o", "APT::Sandbox::User=", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=");
  const install = ["install", "--download-only", "--yes", "--reinstall", "--no-install-recommends", name];
  try {
    await run("apt-get", [...options, ...install]);
  } catch {
    // A system without package lists, or with old ones: use lists of our own.
    options.push("-o", `Dir::State::lists=${lists}`);
    await run("apt-get", [...options, "update"]);
    await run("apt-get", [...options, ...install]);
  }
}
