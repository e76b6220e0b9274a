import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeEach, expect, test } from "@jest/globals";
import { MetaClient } from "@metasrv/meta-client";
import { leakCheck, startEtcdCluster, startMetasrv } from "@metasrv/testing";
import { authentications, EtcdUsers, lapsingTokens, type TokenKind } from "./etcd-users.js";
import { LockLoad } from "./lock-load.js";
import { PlainLocks } from "./plain-locks.js";

let folder: string;
let passwordFile: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "metasrv-tokens-"));
  passwordFile = join(folder, "password");
  await writeFile(passwordFile, "first\n");
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

test.each<TokenKind>(["simple", "jwt"])(
  "three members with tokens (%s) that lapse after 5 s: locks go on while they do, through a new password and restarts of members",
  async (kind) => {
    await using cluster = await startEtcdCluster(3, { extraArgs: await lapsingTokens(kind, folder) });
    const { members, endpoints } = cluster;
    using users = await EtcdUsers.of(endpoints[0] ?? "");
    await users.add("locks", "first", [{ permType: "Readwrite", prefix: "metasrv" }]);
    await users.turnOn();
    const start = () =>
      startMetasrv({
        store: endpoints.join(","),
        args: ["--store-username", "locks", "--store-password-file", passwordFile],
      });
    await using one = await start();
    await using other = await start();
    await using client = new MetaClient({ endpoints: [one.url], discover: false });
    await using otherClient = new MetaClient({ endpoints: [other.url], discover: false });
    const held = await client.lock("held", { ttlMs: 60_000 });
    using locks = new PlainLocks(other.url);
    const waiter = await locks.queueUp("held", { ttlMs: 60_000 });

    await using load = new LockLoad({
      endpoints: [
        [one.url, other.url],
        [other.url, one.url],
      ],
      workers: 8,
      locks: ["a", "b", "c", "d"],
    });
    /** Resolves once both servers have served so many more locks together, and each has served one. */
    const proceeds = async (writes: number) => {
      await load.proceeds(writes, 30_000);
      await Promise.all([client.withLock("one", () => undefined), otherClient.withLock("other", () => undefined)]);
    };
    await proceeds(10);
    /** How often etcd was asked for tokens meanwhile. @param restarted - the members that count from 0 */
    const asked = async (meanwhile: () => Promise<void>, restarted: readonly string[] = []) => {
      const before = await authentications(endpoints.filter((endpoint) => !restarted.includes(endpoint)));
      await meanwhile();
      return (await authentications(endpoints)) - before;
    };
    // Real time: tokens lapse, simple ones at the members that do not see them.
    const lapse = async () => {
      await sleep(7_000);
      await proceeds(50);
    };

    const afterLapse = await asked(lapse);
    const afterChange = await asked(async () => {
      await users.changePassword("locks", "second");
      await writeFile(`${passwordFile}.new`, "second\n");
      await rename(`${passwordFile}.new`, passwordFile);
      await proceeds(50);
    });
    await lapse();
    const afterRestarts = [];
    for (const member of members) {
      const restart = async () => {
        await member.restart();
        await proceeds(50);
      };
      afterRestarts.push(await asked(restart, [member.endpoint]));
    }
    const inRestarts = afterRestarts.reduce((sum, count) => sum + count, 0);
    process.stdout.write(
      `${kind}: tokens after lapses ${afterLapse}, a change ${afterChange}, restarts ${inRestarts}\n`,
    );

    // Each of the two servers asks. A simple token that is used does not lapse; after all restarts no member knows it.
    expect(afterLapse).toBeGreaterThanOrEqual(kind === "jwt" ? 2 : 0);
    expect(afterChange).toBeGreaterThanOrEqual(2);
    expect(inRestarts).toBeGreaterThanOrEqual(kind === "simple" ? 2 : 0);
    expect(held.signal.aborted).toBe(false);
    await held.release();
    await locks.unlock(await waiter.granted);
    expect(await load.stop()).toEqual([]);
    expect(load.unavailable).toBe(0);
    expect([...one.logs, ...other.logs].filter(({ msg }) => String(msg).startsWith("membership lost"))).toEqual([]);
  },
  120_000,
);

afterAll(leakCheck());
