import { execFile } from "node:child_process";
import { cpus, loadavg, release, type } from "node:os";
import { promisify } from "node:util";
import { findOrInstall } from "@metasrv/testing";

/** The machine, its load and the versions of what ran, one a line, for people. */
export async function circumstances(): Promise<string[]> {
  const { stdout } = await promisify(execFile)(await findOrInstall("etcd"), ["--version"]);
  const etcd = /etcd Version: (\S+)/u.exec(stdout)?.[1] ?? "of unknown version";
  const [cpu] = cpus();
  const load = loadavg().map((value) => value.toFixed(1));
  return [
    `On ${new Date().toISOString().slice(0, 10)}: ${type()} ${release()}, ${cpus().length} × ${cpu?.model ?? "unknown"}; Node ${process.version}, etcd ${etcd}`,
    `Load averages at the end: ${load.join(", ")}`,
  ];
}
