import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";
import { runCommand } from "./run-command.js";

const marker = "METASRV_FAULTS_PRIVATE";

/** Whether this user may make network namespaces here, and firewalls in them. */
export async function canHavePrivateNetwork(): Promise<boolean> {
  const script =
    "mount -t tmpfs none /run && ip netns add probe && ip netns exec probe iptables -A INPUT -p tcp -j DROP";
  return await promisify(execFile)("unshare", ["--net", "--mount", "sh", "-c", script]).then(
    () => true,
    () => false,
  );
}

/** Whether this process runs in a private network, entered by {@link runInPrivateNetwork}. */
export function isInPrivateNetwork(): boolean {
  return process.env[marker] !== undefined;
}

/**
 * Runs this program again, in a network and with mounts that nobody else sees and that end with its last process.
 * Resolves with its exit code. Passes signals to this process on.
 */
export async function runInPrivateNetwork(): Promise<number> {
  const args = ["--pdeathsig", "KILL", "--", "unshare", "--net", "--mount", process.execPath, ...process.argv.slice(1)];
  const child = spawn("setpriv", args, { stdio: "inherit", env: { ...process.env, [marker]: "1" } });
  // A terminal sends SIGINT to the child, too. The child treats the second one like the first.
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => child.kill(signal));
  }
  const [code] = (await once(child, "close")) as [number | null];
  return code ?? 1;
}

/** Makes room for the names of network namespaces, where only this process and its children see them. */
export async function hideNamespaceNames(): Promise<void> {
  await runCommand("mount", "-t", "tmpfs", "none", "/run");
}
