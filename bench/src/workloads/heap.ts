import { HeapProbe } from "@metasrv/testing";
import { DriverProcess } from "../driver/driver-process.js";
import { residentBytes } from "../measure/process-usage.js";
import { startBenchEtcd } from "../servers/etcd.js";
import { startBenchMetasrv } from "../servers/metasrv.js";
import type { Context, Outcome, Workload } from "./workload.js";

const count = 100_000;
const warmUp = 20_000;

/** Memory of a held lock in the server. */
export const heap: Workload = {
  id: "heap",
  title: "Memory of a held lock",
  method:
    `What the server's heap (and buffers outside of it) grows by, after garbage collection, when ${count} locks are ` +
    `taken and held, after ${warmUp} others that are not counted. Names have about 20 bytes.`,
  quick: true,
  run,
};

async function run({ log }: Context): Promise<Outcome> {
  await using etcd = await startBenchEtcd();
  await using probe = await HeapProbe.create();
  await using server = await startBenchMetasrv({ store: etcd.endpoint, env: probe.env });
  await using driver = await DriverProcess.start();
  const hold = (locks: number) => driver.do("hold", { url: server.url, count: locks, ttlSeconds: 3600 });
  await hold(warmUp);
  const before = { heap: await probe.bytesInUse(), resident: residentBytes(server.pid) };
  await using second = await DriverProcess.start();
  await second.do("hold", { url: server.url, count, ttlSeconds: 3600 });
  const after = { heap: await probe.bytesInUse(), resident: residentBytes(server.pid) };
  log(`${count} locks are held`);
  const each = (part: "heap" | "resident"): number => (after[part] - before[part]) / count;
  return {
    rows: [],
    figures: [
      { id: "heap/lock", label: "heap a held lock", value: each("heap"), unit: "bytes" },
      {
        id: "heap/resident",
        label: "resident memory a held lock",
        value: each("resident"),
        unit: "bytes",
        note: "with what the garbage collector has not given back",
      },
    ],
  };
}
