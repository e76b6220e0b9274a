import { setTimeout as sleep } from "node:timers/promises";
import type { Etcd, LogLine, Metasrv } from "@metasrv/testing";
import { DriverProcess } from "../driver/driver-process.js";
import { startBenchEtcd } from "./etcd.js";
import { startBenchMetasrv } from "./metasrv.js";

// Longer than any run.
const ttlSeconds = 86_400;

/** A server with a million tickets needs more memory than Node allows by default. */
export const manyTicketsEnv = { NODE_OPTIONS: "--max-old-space-size=8192" } as const;

/** A snapshot that a server has written. Times are on the clock of `Date.now()`. */
export interface WrittenSnapshot {
  readonly startedUnixMs: number;
  readonly endedUnixMs: number;
  readonly bytes: number;
}

/** A server over an etcd of its own, with tickets that are held. */
export class FilledStore implements AsyncDisposable {
  readonly etcd: Etcd;
  readonly server: Metasrv;

  private constructor(etcd: Etcd, server: Metasrv) {
    this.etcd = etcd;
    this.server = server;
  }

  /**
   * @param env - variables of the server, besides its memory limit
   * @param families - how many families of names the tickets are spread over
   */
  static async start(tickets: number, env: Readonly<Record<string, string>> = {}, families = 1): Promise<FilledStore> {
    const etcd = await startBenchEtcd();
    let store: FilledStore | undefined;
    try {
      const nodeOptions = [manyTicketsEnv.NODE_OPTIONS, env.NODE_OPTIONS ?? ""].join(" ").trim();
      const server = await startBenchMetasrv({ store: etcd.endpoint, env: { ...env, NODE_OPTIONS: nodeOptions } });
      store = new FilledStore(etcd, server);
      await using filler = await DriverProcess.start();
      await filler.do("hold", { url: server.url, count: tickets, ttlSeconds, families });
      return store;
    } catch (error) {
      await (store ?? etcd)[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The snapshots that were written from first to last since a time, oldest first. */
  snapshotsSince(unixMs: number): readonly WrittenSnapshot[] {
    return this.server.logs.flatMap(snapshotOf).filter(({ startedUnixMs }) => startedUnixMs > unixMs);
  }

  /**
   * Resolves when this many snapshots were written. The log must grow meanwhile, or none is written.
   *
   * @throws Error when they are not written in time
   */
  async untilSnapshots(count: number, sinceUnixMs: number, withinMs: number, signal: AbortSignal): Promise<void> {
    const deadlineMs = performance.now() + withinMs;
    while (this.snapshotsSince(sinceUnixMs).length < count) {
      if (performance.now() > deadlineMs) {
        throw new Error(`the server has not written ${count} snapshots in ${withinMs / 1000} s; ${this.server.tail}`);
      }
      await sleep(100, undefined, { signal });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await this.etcd[Symbol.asyncDispose]();
  }
}

function snapshotOf({ msg, time, tookMs, bytes }: LogLine): readonly WrittenSnapshot[] {
  if (msg !== "wrote a snapshot" || typeof time !== "number" || typeof tookMs !== "number") {
    return [];
  }
  return [{ startedUnixMs: time - tookMs, endedUnixMs: time, bytes: Number(bytes) }];
}
