import { setTimeout as sleep } from "node:timers/promises";
import {
  type LockRequest,
  type LockResult,
  MetaClient,
  type UnlockRequest,
  type UnlockResult,
} from "@metasrv/meta-client";
import { startEtcd, startMetasrv } from "@metasrv/testing";

/** What the scenarios use of a `MetaClient`. */
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

/** Runs scenarios, one after the other, on a real etcd and a real metasrv. The process fails if one of them does. */
export async function onStage(...scenarios: ((meta: Meta) => Promise<void>)[]): Promise<void> {
  try {
    await using etcd = await startEtcd();
    await using metasrv = await startMetasrv({ store: etcd.endpoint });
    await using meta = new MetaClient({ endpoints: [metasrv.url] });
    say(`metasrv serves at ${metasrv.address}, over an etcd at ${etcd.endpoint}`);
    for (const scenario of scenarios) {
      await scenario(timeScale === 1 ? meta : hurried(meta));
    }
    say("Every promise was kept.");
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}

function hurried(meta: MetaClient): Meta {
  return {
    lock: ({ name, expireSecs }) => meta.lock({ name, expireSecs: expireSecs / timeScale }),
    unlock: (request) => meta.unlock(request),
  };
}
