import { createEtcdTicketLog, defaultLimits, LockStore, systemClock, type TicketLog } from "@metasrv/metasrv";
import { pino } from "pino";

/** How to start a node in this process. */
export interface NodeInProcessOptions {
  /** Where it reaches etcd, as host:port. */
  readonly host: string;
  readonly prefix: string;
  /** What is put between its lock store and its log; nothing by default. */
  readonly decorate?: (log: TicketLog) => TicketLog;
}

/** A node's lock store in this process, over a real etcd. Disposing of it stops it. */
export interface NodeInProcess extends AsyncDisposable {
  readonly store: LockStore;
}

const logger = pino({ level: "silent" });
const clock = systemClock;

/** Starts a node in this process, so that the test may see, and come between, each of its calls. */
export async function startNodeInProcess(options: NodeInProcessOptions): Promise<NodeInProcess> {
  const { host, prefix, decorate = (log: TicketLog) => log } = options;
  const log = createEtcdTicketLog({
    hosts: [host],
    prefix,
    clock,
    logger,
    connectTimeoutMs: 10_000,
    requestTimeoutMs: 10_000,
    memberTtlSeconds: 10,
    maxTxnOps: 128,
  });
  const store = new LockStore({ log: decorate(log), clock, limits: defaultLimits, logger });
  await store.start({ address: "test:0", version: "0", startedUnixMs: 0 });
  return { store, [Symbol.asyncDispose]: () => store.stop() };
}
