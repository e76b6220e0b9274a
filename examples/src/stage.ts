import { setTimeout as sleep } from "node:timers/promises";
import {
  type LockRequest,
  type LockResult,
  MetaClient,
  type UnlockRequest,
  type UnlockResult,
} from "@metasrv/meta-client";
import { startEtcd, startMetasrv } from "@metasrv/testing";

/** What of a `MetaClient` scenarios of the original form use. */
export interface Meta {
  lock(request: LockRequest): Promise<LockResult>;
  unlock(request: UnlockRequest): Promise<UnlockResult>;
}

/** How many seconds of a scenario pass in one: 1, unless `EXAMPLE_TIME_SCALE` says otherwise. */
const timeScale = Number(process.env.EXAMPLE_TIME_SCALE ?? 1);

/**
 * How long what happens at once may take to be seen, in seconds of a scenario: 250 ms, or, hurried, as tests run it on
 * busy machines, a second of real time.
 */
export const moment = timeScale === 1 ? 0.25 : timeScale;

const startedAtMs = performance.now();

/** Works for so many seconds of the scenario. */
export async function work(seconds: number): Promise<void> {
  await sleep((seconds / timeScale) * 1000);
}

/** Prints what happens and when, and returns when: in seconds of the scenario. */
export function say(text: string): number {
  const seconds = ((performance.now() - startedAtMs) / 1000) * timeScale;
  console.log(`[${seconds.toFixed(2).padStart(6)} s] ${text}`);
  return seconds;
}

/** @throws Error when a promise of the lock service is broken */
export function check(kept: boolean, broken: string): void {
  if (!kept) {
    throw new Error(`broken promise: ${broken}`);
  }
}

/** So many seconds of the scenario in milliseconds, such as a TTL. */
export function msOf(seconds: number): number {
  return Math.round((seconds / timeScale) * 1000);
}

/** Something that happens once, and that others wait for. */
export function once(): { readonly happens: () => void; readonly happened: Promise<void> } {
  let happens: () => void = () => undefined;
  const happened = new Promise<void>((resolve) => (happens = resolve));
  return { happens, happened };
}

/** Resolves once so many requests hold a lock or wait for it, so that what is asked for after that comes after them. */
export async function untilQueued(meta: MetaClient, name: string, count: number): Promise<void> {
  for await (const { tickets } of meta.locks.watch(name)) {
    if (tickets.length >= count) {
      return;
    }
  }
}

/** Resolves once so many requests wait for a lock. */
export async function untilWaiting(meta: MetaClient, name: string, count = 1): Promise<void> {
  for await (const { waiters } of meta.locks.watch(name, { maxTickets: 1 })) {
    if (waiters >= count) {
      return;
    }
  }
}

/** A resource that is guarded by a lock: it takes what comes with a fencing token, and refuses what is outdated. */
export class FencedRecord<T> {
  value: T;
  #fence = 0n;

  constructor(value: T) {
    this.value = value;
  }

  /**
   * @param floor - with a shared lock, that of the grant; else the token
   * @returns whether it was written
   */
  write(value: T, token: bigint, floor = token): boolean {
    if (token < this.#fence) {
      return false;
    }
    this.#fence = floor > this.#fence ? floor : this.#fence;
    this.value = value;
    return true;
  }
}

/** The client of one process, by the name of who runs it. */
export type NewClient = (owner: string) => MetaClient;

/**
 * Runs scenarios, one after the other, on a real etcd and a real metasrv. The process fails if one of them does.
 *
 * A scenario makes a client for each process that it shows. They are closed at its end.
 */
export async function onStage(...scenarios: ((newClient: NewClient) => Promise<void>)[]): Promise<void> {
  const clients: MetaClient[] = [];
  try {
    await using etcd = await startEtcd();
    await using metasrv = await startMetasrv({ store: etcd.endpoint });
    const newClient: NewClient = (owner) => {
      // From Node 24 on, trackNesting is on by itself.
      const meta = new MetaClient({ endpoints: [metasrv.url], owner, trackNesting: true });
      clients.push(meta);
      return meta;
    };
    say(`metasrv serves at ${metasrv.address}, over an etcd at ${etcd.endpoint}`);
    for (const scenario of scenarios) {
      await scenario(newClient);
      await Promise.all(clients.splice(0).map((meta) => meta.close()));
    }
    say("Every promise was kept.");
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  } finally {
    await Promise.all(clients.map((meta) => meta.close()));
  }
}

/** The client in its original form, whose locks last as long as the scenario says. */
export function originalForm(meta: MetaClient): Meta {
  return {
    lock: ({ name, expireSecs }) => meta.lock({ name, expireSecs: expireSecs / timeScale }),
    unlock: (request) => meta.unlock(request),
  };
}
