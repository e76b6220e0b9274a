import { type Etcd, startEtcd } from "@metasrv/testing";

const quotaBytes = 8 * 1024 ** 3;

/**
 * An etcd as it comes, with its data on disk and every commit fsynced; only its quota is raised, since a benchmark writes
 * more in minutes than it may keep by default.
 */
export function startBenchEtcd(extraArgs: readonly string[] = []): Promise<Etcd> {
  return startEtcd({ extraArgs: [`--quota-backend-bytes=${quotaBytes}`, ...extraArgs] });
}
