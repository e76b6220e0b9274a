import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { HeapProbe } from "@metasrv/testing";
import { DriverProcess } from "../driver/driver-process.js";
import { residentBytes } from "../measure/process-usage.js";
import { textTable } from "../report/text-table.js";
import { startBenchEtcd } from "../servers/etcd.js";
import { startBenchMetasrv } from "../servers/metasrv.js";
import type { Context } from "../workloads/workload.js";
import { judgeFlatness } from "./flatness.js";

export interface SoakOptions {
  readonly minutes: number;
  /** Folder for the results. */
  readonly out: string;
  readonly signal: AbortSignal;
  readonly log: Context["log"];
}

interface Memory {
  readonly seconds: number;
  /** Memory in use after a garbage collection, and memory in RAM. */
  readonly serverHeap: number;
  readonly serverResident: number;
  readonly clientHeap: number;
  readonly clientResident: number;
  readonly etcdResident: number;
  readonly done: number;
}

const samples = 40;
const leastIntervalMs = 2_000;

/** Runs a load of all sorts and watches memory. Resolves with whether memory stayed flat and nothing failed. */
export async function runSoak({ minutes, out, signal, log }: SoakOptions): Promise<boolean> {
  // Otherwise, only old revisions would grow.
  await using etcd = await startBenchEtcd(["--auto-compaction-mode=periodic", "--auto-compaction-retention=1m"]);
  await using probe = await HeapProbe.create();
  await using server = await startBenchMetasrv({ store: etcd.endpoint, env: probe.env });
  await using driver = await DriverProcess.start();
  await driver.do("mixed", { url: server.url });
  log(`a mixed load runs for ${minutes} minutes`);

  const startedMs = performance.now();
  const lengthMs = minutes * 60_000;
  const intervalMs = Math.max(leastIntervalMs, lengthMs / samples);
  const memory: Memory[] = [];
  for (let due = intervalMs; due <= lengthMs + 1; due += intervalMs) {
    await sleep(Math.max(0, startedMs + due - performance.now()), undefined, { signal });
    const state = await driver.do("mixed-state", null);
    const taken: Memory = {
      seconds: Math.round((performance.now() - startedMs) / 1000),
      serverHeap: await probe.bytesInUse(),
      serverResident: residentBytes(server.pid),
      clientHeap: state.heapBytes,
      clientResident: residentBytes(driver.pid),
      etcdResident: residentBytes(etcd.pid),
      done: Object.values(state.done).reduce((sum, count) => sum + count, 0),
    };
    memory.push(taken);
    log(
      `${taken.done} done; server heap ${mebibytes(taken.serverHeap)} (RSS ${mebibytes(taken.serverResident)}), ` +
        `client heap ${mebibytes(taken.clientHeap)} (RSS ${mebibytes(taken.clientResident)})`,
    );
  }

  const { done, failures } = await driver.do("mixed-state", null);
  const verdicts = (["serverHeap", "serverResident", "clientHeap", "clientResident"] as const).map((what) => ({
    what,
    ...judgeFlatness(
      what.endsWith("Heap") ? "heap" : "resident",
      memory.map((taken) => taken[what]),
    ),
  }));
  console.log(
    `\n${textTable([
      ["memory", "second quarter", "last quarter", "verdict"],
      ...verdicts.map(({ what, earlierBytes, laterBytes, flat }) => [
        what,
        mebibytes(earlierBytes),
        mebibytes(laterBytes),
        flat ? "flat" : "GROWS",
      ]),
    ])}\n\ndone: ${JSON.stringify(done)}\nfailures: ${failures.length === 0 ? "none" : failures.join("; ")}\n`,
  );
  await mkdir(out, { recursive: true });
  await writeFile(
    join(out, "soak.json"),
    `${JSON.stringify({ minutes, done, failures, verdicts, memory }, undefined, 2)}\n`,
  );
  log(`written: soak.json in ${out}`);
  return failures.length === 0 && verdicts.every(({ flat }) => flat);
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}
