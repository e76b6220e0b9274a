import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

const ticksPerSecond = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

/**
 * CPU time, of user and system, that processes have used since they started, in seconds. The kernel counts it in ticks
 * of 10 ms.
 */
export function cpuSeconds(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuTicks(pid), 0) / ticksPerSecond;
}

/** Memory of a process that is in RAM, in bytes. */
export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(?<kb>\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.groups?.kb;
  return Number(kilobytes) * 1024;
}

/** Bytes that a process has written to the disk since it started, as the kernel counts them. */
export function writtenBytes(pid: number): number {
  return Number(/^write_bytes: (?<bytes>\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, "utf8"))?.groups?.bytes);
}

function cpuTicks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  // The second field is the program's name in parentheses, which may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}
