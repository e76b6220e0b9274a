import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { ManualClock, settled } from "@metasrv/wire/testing";
import { pino } from "pino";
import { FakeEtcd, noAnswer, promptly } from "../../../test-support/fake-etcd.js";
import { goOn } from "../../../test-support/log-stage.js";
import { LogKeys } from "./keys.js";
import { readMember } from "./listing.js";
import { Membership } from "./membership.js";

const never = Infinity;

/** Leases of 12 s, so that a keep-alive is due every 4 s. */
describe("a membership", () => {
  const keys = new LogKeys("metasrv");
  let etcd: FakeEtcd;
  let clock: ManualClock;
  let membership: Membership;
  /** How long each keep-alive takes; those after the last take no time. */
  let takes: number[];
  /** When each keep-alive was sent, and how long it was given, in milliseconds since the joining. */
  let keptAlive: (readonly [number, number])[];
  let told: string[];
  let startMs: number;

  beforeEach(async () => {
    etcd = new FakeEtcd();
    clock = new ManualClock();
    startMs = clock.now();
    takes = [];
    keptAlive = [];
    told = [];
    etcd.behaviour = (call, run, timeoutMs) => {
      if (call.kind !== "keep-alive") {
        return promptly(call, run, timeoutMs);
      }
      keptAlive.push([sinceStart(), Math.round(timeoutMs)]);
      const takesMs = takes.shift() ?? 0;
      return new Promise((resolve, reject) => {
        clock.after(Math.min(takesMs, timeoutMs), () => {
          if (takesMs > timeoutMs) {
            reject(noAnswer());
          } else {
            resolve(run());
          }
        });
      });
    };
    membership = new Membership(
      {
        client: etcd,
        keys,
        clock,
        random: () => 0.5,
        logger: pino({ level: "silent" }),
        hosts: ["etcd"],
        connectTimeoutMs: 1_000,
        memberTtlSeconds: 12,
        joined: (id, revision) => told.push(`log: joined as ${Number.parseInt(id, 16)} at ${revision}`),
        lost: () => told.push("log: lost"),
      },
      { address: "127.0.0.1:3002", version: "0", startedUnixMs: 0, level: 1 },
      {
        joined: (id) => told.push(`joined as ${Number.parseInt(id, 16)}`),
        extended: (aliveUntilMs) => told.push(`until ${aliveUntilMs - startMs}`),
        lost: () => told.push(`lost at ${sinceStart()}`),
      },
    );
    await membership.join();
    await settled();
  });

  afterEach(async () => {
    const left = membership.leave();
    await clock.advance(20_000);
    await left;
    expect(memberKeys()).toEqual([]);
    expect(etcd.leases).toEqual([]);
  });

  /** The keys of members; the mark of the last joining stays. */
  const memberKeys = () => etcd.keys.filter((key) => key !== keys.joined.toString());
  const sinceStart = () => clock.now() - startMs;
  const toldTo = (whom: "log" | "listener") => told.filter((one) => one.startsWith("log: ") === (whom === "log"));

  test("is a key under a lease, named after it, told of to the log first", () => {
    const [key = ""] = memberKeys();
    expect(key).toBe(keys.member("0000000000000010").toString());
    const kv = etcd.get(key);
    expect(kv && readMember(keys, kv)).toMatchObject({ id: "0000000000000010", member: { address: "127.0.0.1:3002" } });
    expect(told).toEqual(["log: joined as 16 at 2", "joined as 16", "until 12000"]);
  });

  test("lasts as long as etcd answers, counted from when it was asked", async () => {
    takes = [300, 300];
    await clock.advance(8_999);
    expect(keptAlive.map(([sentMs]) => sentMs)).toEqual([4_000, 8_000]);
    expect(toldTo("listener")).toEqual(["joined as 16", "until 12000", "until 16000", "until 20000"]);
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
    expect(toldTo("listener").slice(2)).toEqual(["lost at 12000", "joined as 17", "until 24000"]);
    expect(toldTo("log").slice(1)).toEqual(["log: lost", expect.stringContaining("log: joined as 17")]);
    expect(memberKeys()).toEqual([keys.member("0000000000000011").toString()]);
  });

  test("is lost at once when etcd says that the lease is gone", async () => {
    etcd.lapse(0x10n);
    await clock.advance(4_000);
    expect(toldTo("listener").slice(2)).toEqual(["lost at 4000", "joined as 17", "until 16000"]);
  });

  test("is lost at once, and there is a new one, when it is told that its key is gone", async () => {
    await clock.advance(1_000);
    etcd.remove(keys.member("0000000000000010"));
    membership.end("0000000000000010");
    membership.end("0000000000000010");
    await goOn();
    expect(toldTo("listener").slice(2)).toEqual(["lost at 1000", "joined as 17", "until 13000"]);
    expect(memberKeys()).toEqual([keys.member("0000000000000011").toString()]);
  });

  test("is lost though a keep-alive is answered well while it is told so", async () => {
    takes = [300];
    await clock.advance(4_100);
    membership.end("0000000000000010");
    await clock.advance(300);
    expect(toldTo("listener").slice(2, 4)).toEqual(["lost at 4300", "joined as 17"]);
  });

  test("does not mind that another one, or the one before, is gone", async () => {
    membership.end("0000000000000099");
    etcd.lapse(0x10n);
    await clock.advance(4_000);
    membership.end("0000000000000010");
    await clock.advance(1_000);
    expect(toldTo("listener").filter((one) => one.startsWith("lost"))).toHaveLength(1);
  });

  test("tries to join again until it has", async () => {
    etcd.lapse(0x10n);
    etcd.behaviour = (call, run, timeoutMs) =>
      call.kind === "grant" ? Promise.reject(noAnswer()) : promptly(call, run, timeoutMs);
    await clock.advance(60_000);
    expect(told.at(-1)).toBe("lost at 4000");
    etcd.behaviour = promptly;
    await clock.advance(1_100);
    expect(toldTo("listener").at(-2)).toBe("joined as 17");
  });

  test("leaves nothing behind when it ends while it joins again", async () => {
    etcd.lapse(0x10n);
    let letGo = () => undefined as unknown;
    etcd.behaviour = async (call, run, timeoutMs) => {
      if (call.kind === "put") {
        await new Promise<void>((resolve) => (letGo = resolve));
      }
      return promptly(call, run, timeoutMs);
    };
    await clock.advance(4_000);
    const left = membership.leave();
    letGo();
    await left;
    expect(memberKeys()).toEqual([]);
  });

  test("leaves no lease behind of an attempt to join that failed", async () => {
    etcd.lapse(0x10n);
    let puts = 0;
    etcd.behaviour = (call, run, timeoutMs) =>
      call.kind === "put" && puts++ < 3 ? Promise.reject(noAnswer()) : promptly(call, run, timeoutMs);
    await clock.advance(10_000);
    expect(memberKeys()).toHaveLength(1);
    expect(etcd.leases).toHaveLength(1);
  });
});
