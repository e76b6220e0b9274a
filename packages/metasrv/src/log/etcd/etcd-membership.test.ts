import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { pino } from "pino";
import { ManualClock, settled } from "../../../test-support/manual-clock.js";
import type { EtcdClient } from "./etcd-client.js";
import { EtcdKeys } from "./etcd-keys.js";
import { EtcdMembership } from "./etcd-membership.js";

const never = Infinity;

/** Leases of 12 s, so that a keep-alive is due every 4 s. */
describe("a membership", () => {
  let clock: ManualClock;
  let membership: EtcdMembership;
  /** How long each keep-alive takes; those after the last take no time. */
  let takes: number[];
  let ttlLeft: number;
  /** When each keep-alive was sent, and how long it was given, in milliseconds since the joining. */
  let keptAlive: (readonly [number, number])[];
  let leases: string[];
  let told: string[];

  beforeEach(async () => {
    clock = new ManualClock();
    const startMs = clock.now();
    const sinceStart = () => clock.now() - startMs;
    takes = [];
    ttlLeft = 12;
    keptAlive = [];
    leases = [];
    told = [];
    const client: Partial<EtcdClient> = {
      grantLease: (ttlSeconds) => Promise.resolve({ id: String(leases.length + 10), ttlSeconds }),
      put: ({ key }) => {
        leases.push(String(key));
        return Promise.resolve();
      },
      keepLeaseAlive: (_id, timeoutMs) => {
        keptAlive.push([sinceStart(), Math.round(timeoutMs)]);
        const takesMs = takes.shift() ?? 0;
        return new Promise((resolve, reject) => {
          clock.after(Math.min(takesMs, timeoutMs), () => {
            if (takesMs > timeoutMs) {
              reject(new Error("no answer"));
            } else {
              resolve(ttlLeft);
            }
          });
        });
      },
      revokeLease: () => Promise.resolve(),
    };
    membership = new EtcdMembership(
      {
        client: client as EtcdClient,
        keys: new EtcdKeys("metasrv"),
        clock,
        logger: pino({ level: "silent" }),
        hosts: ["etcd"],
        connectTimeoutMs: 1_000,
        memberTtlSeconds: 12,
      },
      { address: "127.0.0.1:3002", version: "0", startedUnixMs: 0 },
      {
        joined: (id) => told.push(`joined as ${id}`),
        extended: (aliveUntilMs) => told.push(`until ${aliveUntilMs - startMs}`),
        lost: () => told.push(`lost at ${sinceStart()}`),
      },
    );
    await membership.join();
    await settled();
  });

  afterEach(async () => {
    const left = membership.leave();
    await clock.advance(10_000);
    await left;
  });

  test("lasts as long as etcd answers, counted from when it was asked", async () => {
    takes = [300, 300];
    await clock.advance(8_999);
    expect(keptAlive.map(([sentMs]) => sentMs)).toEqual([4_000, 8_000]);
    expect(told).toEqual(["joined as 000000000000000a", "until 12000", "until 16000", "until 20000"]);
  });

  test("asks again soon while etcd is silent, and gives each attempt twice as long as the last", async () => {
    takes = [never, never];
    await clock.advance(9_000);
    expect(keptAlive.map(([, givenMs]) => givenMs)).toEqual([667, 1_333, 2_667]);
    expect(told.at(-1)).toMatch(/^until 1[89]\d\d\d$/u);
    await clock.advance(4_000);
    expect(keptAlive.at(-1)?.[1]).toBe(667);
  });

  test("waits for an etcd that is slow", async () => {
    takes = [2_500, 2_500, 2_500];
    await clock.advance(9_500);
    expect(told.at(-1)).toMatch(/^until 1[89]\d\d\d$/u);
  });

  test("is lost no later than the lease may have lapsed, and there is a new one", async () => {
    takes = [never, never, never, never, never];
    await clock.advance(12_100);
    expect(told.slice(2)).toEqual(["lost at 12000", "joined as 000000000000000b", "until 24000"]);
    expect(leases).toEqual(["metasrv/members/000000000000000a", "metasrv/members/000000000000000b"]);
  });

  test("is lost at once when etcd says that the lease is gone", async () => {
    ttlLeft = 0;
    await clock.advance(4_000);
    expect(told.slice(2)).toEqual(["lost at 4000", "joined as 000000000000000b", "until 16000"]);
  });
});
