import { type Etcd, startEtcd } from "@metasrv/testing";

const quotaBytes = 8 * 1024 ** 3;

/**
 * An etcd with its defaults, with its data on disk and every commit fsynced. Only its quota is raised, because a
 * benchmark writes more in minutes than etcd may keep by default.
 */
export function startBenchEtcd(extraArgs: readonly string[] = []): Promise<Etcd> {
  return startEtcd({ extraArgs: [`--quota-backend-bytes=${quotaBytes}`, ...extraArgs] });
}
