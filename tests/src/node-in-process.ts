import { createEtcdLog, defaultLimits, LockNode } from "@metasrv/metasrv";
import { systemClock as clock } from "@metasrv/wire";
import { pino } from "pino";

/** How to start a node in this process. */
export interface NodeInProcessOptions {
  /** Where it reaches etcd, as host:port. */
  readonly host: string;
  readonly prefix: string;
}

/** A node in this process, over a real etcd. Disposing of it stops it. */
export interface NodeInProcess extends AsyncDisposable {
  readonly locks: LockNode;
}

const logger = pino({ level: "silent" });

/** Starts a node in this process, so that the test can see each of its calls. */
export async function startNodeInProcess({ host, prefix }: NodeInProcessOptions): Promise<NodeInProcess> {
  const log = createEtcdLog({
    hosts: [host],
    prefix,
    clock,
    logger,
    fatal: (error) => {
      throw error;
    },
    connectTimeoutMs: 10_000,
    requestTimeoutMs: 10_000,
    memberTtlSeconds: 10,
    quotaBytes: 2 * 1024 ** 3,
  });
  const locks = new LockNode({ log, clock, limits: defaultLimits, logger });
  await locks.start({ address: "test:0", version: "0", startedUnixMs: 0 });
  return { locks, [Symbol.asyncDispose]: () => locks.stop() };
}
