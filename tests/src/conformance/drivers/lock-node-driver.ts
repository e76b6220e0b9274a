import {
  type CommandLog,
  createEtcdLog,
  createMemoryLog,
  defaultLimits,
  LockError,
  lockNameOf,
  LockNode,
  type Share,
} from "@metasrv/metasrv";
import { systemClock as clock } from "@metasrv/wire";
import { pino } from "pino";
import {
  DriverError,
  type DriverGrant,
  type DriverShare,
  type LockAsk,
  type LockDriver,
  stateOf,
  type TryLockAnswer,
} from "../lock-driver.js";
import { EtcdView } from "./etcd-side.js";

const logger = pino({ level: "silent" });
const fatal = (error: Error) => {
  throw error;
};

/** A lock node in this process, over a memory log. */
export function openMemoryLockNode(): Promise<LockDriver> {
  return LockNodeDriver.open(() => createMemoryLog({ fatal }), undefined);
}

/** A lock node in this process, over an etcd log. */
export function openEtcdLockNode(endpoint: string, prefix: string): Promise<LockDriver> {
  const createLog = () =>
    createEtcdLog({
      hosts: [endpoint],
      prefix,
      clock,
      logger,
      fatal,
      connectTimeoutMs: 10_000,
      requestTimeoutMs: 10_000,
      memberTtlSeconds: 10,
      quotaBytes: 2 * 1024 ** 3,
    });
  const etcd = new EtcdView(endpoint, prefix, (other) => openEtcdLockNode(endpoint, other));
  return LockNodeDriver.open(createLog, etcd);
}

class LockNodeDriver implements LockDriver {
  readonly etcd?: EtcdView;
  readonly #createLog: () => CommandLog;
  #node: LockNode;

  private constructor(createLog: () => CommandLog, node: LockNode, etcd: EtcdView | undefined) {
    this.#createLog = createLog;
    this.#node = node;
    if (etcd !== undefined) {
      this.etcd = etcd;
    }
  }

  static async open(createLog: () => CommandLog, etcd: EtcdView | undefined): Promise<LockDriver> {
    return new LockNodeDriver(createLog, await startNode(createLog()), etcd);
  }

  async lock(name: Uint8Array, ask: LockAsk = {}): Promise<DriverGrant> {
    const answer = await this.#claim(name, ask);
    if ("granted" in answer) {
      return answer.granted;
    }
    throw new DriverError("other", "refused without having asked for that");
  }

  tryLock(name: Uint8Array, ask: LockAsk = {}): Promise<TryLockAnswer> {
    return this.#claim(name, { ...ask, waitMs: 0 });
  }

  async unlock(key: Uint8Array): Promise<"released" | "not-held"> {
    return await unlessNotHeld("released", this.#node.unlock(key));
  }

  async renew(key: Uint8Array, ttlMs?: number): Promise<"renewed" | "not-held"> {
    return await unlessNotHeld("renewed", this.#node.renew(key, ttlMs === undefined ? {} : { ttlMs }));
  }

  async downgrade(key: Uint8Array): Promise<"renewed" | "not-held"> {
    return await unlessNotHeld("renewed", this.#node.renew(key, { downgrade: true }));
  }

  async force(name: Uint8Array, token: bigint): Promise<"released" | "not-held"> {
    const by = { actor: "conformance", reason: "a scenario" };
    return await unlessNotHeld("released", this.#node.force(lockNameOf(name), token, by, false));
  }

  observe(name: Uint8Array) {
    return Promise.resolve(this.#node.state(name));
  }

  async restart(): Promise<void> {
    await this.#node.stop();
    this.#node = await startNode(this.#createLog());
  }

  async tickets(name?: Uint8Array): Promise<string[]> {
    return (await this.etcd?.tickets(name)) ?? [];
  }

  get served(): number {
    return this.#node.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#node.stop();
    this.etcd?.close();
  }

  async #claim(name: Uint8Array, { signal, share, others = [], ...ask }: LockAsk): Promise<TryLockAnswer> {
    let claim: { cancel(): void } | undefined;
    let onAbort: (() => void) | undefined;
    try {
      return await new Promise<TryLockAnswer>((resolve, reject) => {
        signal?.throwIfAborted();
        claim = this.#node.claim(
          {
            name,
            ...ask,
            ...(share !== undefined && { share: shareOf(share) }),
            others: others.map((part) => ({ name: part.name, share: shareOf(part.share) })),
          },
          {
            granted: (granted) => {
              resolve({ granted: { ...granted, floors: granted.parts.map(({ floor }) => floor) } });
            },
            refused: (refused) => {
              resolve({ refused: stateOf(refused) });
            },
            failed: reject,
            lost: () => undefined,
          },
        );
        onAbort = () => {
          claim?.cancel();
          reject(new DriverError("aborted", signal?.reason));
        };
        signal?.addEventListener("abort", onAbort);
      });
    } catch (error) {
      throw driverError(error);
    } finally {
      if (onAbort !== undefined) {
        signal?.removeEventListener("abort", onAbort);
      }
    }
  }
}

function shareOf(share: DriverShare | undefined): Share {
  if (share === undefined) {
    return { permits: 1, limit: 1 };
  }
  return share === "shared" ? { permits: 1, limit: 2 ** 32 - 1 } : share;
}

async function startNode(log: CommandLog): Promise<LockNode> {
  const node = new LockNode({ log, clock, limits: defaultLimits, logger });
  await node.start({ address: "conformance:0", version: "0", startedUnixMs: 0 });
  return node;
}

async function unlessNotHeld<T extends string>(done: T, call: Promise<unknown>): Promise<T | "not-held"> {
  try {
    await call;
    return done;
  } catch (error) {
    if (error instanceof LockError && (error.reason === "not-held" || error.reason === "forced")) {
      return "not-held";
    }
    throw driverError(error);
  }
}

function driverError(error: unknown): DriverError {
  if (error instanceof DriverError) {
    return error;
  }
  return error instanceof LockError
    ? new DriverError(error.reason, error, error.state)
    : new DriverError("other", error);
}
