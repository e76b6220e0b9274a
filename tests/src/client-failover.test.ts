import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { MetaClient, type MetaClientOptions } from "@metasrv/meta-client";
import { type Etcd, leakCheck, type Metasrv, startEtcd, startMetasrv, startTcpProxy, until } from "@metasrv/testing";
import { ticketsIn } from "./in-store.js";
import { PlainLocks } from "./plain-locks.js";

let etcd: Etcd;

beforeAll(async () => {
  etcd = await startEtcd();
});

// How long a server is silent before a session is given up, and how long a call may take besides.
const silenceMs = 600;
const allowanceMs = 1_000;

function start(prefix: string): Promise<Metasrv> {
  const pulse = ["--heartbeat-ms", `${silenceMs / 3}`, "--session-timeout-ms", `${silenceMs}`];
  return startMetasrv({ store: etcd.endpoint, args: ["--store-key-prefix", prefix, ...pulse] });
}

/** What a client has at a server that is about to fall silent, and what must happen to it. */
async function survivesSilence(
  options: MetaClientOptions,
  survivor: Metasrv,
  silence: () => void | Promise<void>,
): Promise<void> {
  using atSurvivor = new PlainLocks(survivor.url);
  await using client = new MetaClient({ ...options, firstEndpoint: "listed" });
  const kept = await client.lock("kept", { keepAlive: true, ttlMs: 3_000 });
  const brief = await client.lock("brief", { ttlMs: 60_000 });
  const blocker = await atSurvivor.lock("waited for", { ttlMs: 60_000 });
  const waiting = client.lock("waited for");
  await atSurvivor.waitersAre("waited for", 1);
  const behind = await atSurvivor.queueUp("waited for");

  await silence();
  const silentAtMs = performance.now();
  const released = brief.release();
  const fresh = await client.lock("fresh");
  await released;
  expect(performance.now() - silentAtMs).toBeLessThan(silenceMs + allowanceMs);
  expect(await atSurvivor.state("brief")).toBeUndefined();
  expect(await atSurvivor.state("fresh")).toMatchObject({ holderToken: fresh.token });

  expect(await kept.renew()).toBe("renewed");
  expect(kept.signal.aborted).toBe(false);
  expect(await atSurvivor.state("kept")).toMatchObject({ holderToken: kept.token });

  await atSurvivor.unlock(blocker);
  const lock = await waiting;
  await lock.release();
  const last = await behind.granted;
  expect(last.token).toBeGreaterThan(lock.token);
  await atSurvivor.unlock(last);
}

test("a node is paused: its clients go on at another within the time of silence, and notice nothing", async () => {
  await using paused = await start("paused");
  await using survivor = await start("paused");
  await survivesSilence({ endpoints: [paused.url, survivor.url] }, survivor, () => paused.kill("SIGSTOP"));
});

test("a link drops all packets: the same", async () => {
  await using cutOff = await start("cut");
  await using survivor = await start("cut");
  await using link = await startTcpProxy({ target: cutOff.address });
  // Discovery is off: with the servers' own addresses, the client could go around the link.
  const options = { endpoints: [link.url, survivor.url], discover: false };
  await survivesSilence(options, survivor, () => {
    link.pause("toTarget");
    link.pause("toClient");
  });
});

test("a client that was given one server finds the others, spreads over them, and survives the one it was given", async () => {
  await using seed = await start("found");
  await using second = await start("found");
  await using third = await start("found");
  const addresses = [seed.address, second.address, third.address];
  const clients = Array.from({ length: 40 }, () => new MetaClient({ endpoints: [seed.url] }));
  try {
    const [client] = clients;
    const members = (await client?.members()) ?? [];
    expect(members.map(({ address }) => address)).toEqual(addresses);
    expect(members.map(({ role }) => role)).toEqual(["leader", "follower", "follower"]);
    for (const { startedAt } of members) {
      expect(Math.abs(Date.now() - startedAt.getTime())).toBeLessThan(60_000);
    }

    const held = await Promise.all(
      clients.map((each, n) => each.lock(`found/${n}`, { keepAlive: true, ttlMs: 60_000 })),
    );
    await until(async () => (await membersInUse(clients)).size === 3, { what: "clients at all three servers" });
    await seed.kill();
    for (const lock of held) {
      expect(await lock.renew()).toBe("renewed");
    }
    for (const lock of held) {
      expect(lock.signal.aborted).toBe(false);
    }
    await Promise.all(held.map((lock) => lock.release()));
  } finally {
    await Promise.all(clients.map((each) => each.close()));
  }
});

/** Ids of the members at which the clients ask for locks now. */
async function membersInUse(clients: readonly MetaClient[]): Promise<Set<string>> {
  const locks = await Promise.all(clients.map((client, n) => client.lock(`where-${n}`)));
  const tickets = await ticketsIn(etcd.endpoint, "found");
  await Promise.all(locks.map((lock) => lock.release()));
  return new Set(tickets.filter(({ name }) => name.startsWith("where-")).map(({ memberId }) => memberId));
}

afterAll(async () => {
  await etcd[Symbol.asyncDispose]();
});
afterAll(leakCheck());
