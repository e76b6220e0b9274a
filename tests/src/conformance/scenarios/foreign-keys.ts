import { expect } from "@jest/globals";
import { failureOf } from "../failure-of.js";
import type { EtcdSide } from "../lock-driver.js";
import { queueUp } from "../queue-up.js";
import type { Scenario } from "../scenario.js";

/** Keys that others put into the same etcd stay as they are. */
export const foreignKeyScenarios: readonly Scenario[] = [
  {
    title: "keys put into etcd by hand, outside and inside the prefix, neither disturb nor are touched",
    needs: ["etcd"],
    alone: true,
    async run({ driver, name }) {
      const etcd = requireEtcd(driver.etcd);
      const lock = name();
      const { prefix } = etcd;
      const text = Buffer.from(lock).toString();
      await using planted = await plant(etcd, [
        "foreign",
        prefix,
        `${prefix}2/@/log/0f/${"0".repeat(16)}`,
        `${prefix}/foreign`,
        `${prefix}/locks/${text}`,
        `${prefix}/@`,
        `${prefix}/@/`,
        `${prefix}/@/foreign`,
        `${prefix}/@/log/`,
        `${prefix}/@/log/foreign`,
        `${prefix}/@/log/0f/1`,
        `${prefix}/@/log/0f/${"0".repeat(16)}`,
        `${prefix}/@/log/0f/${"0".repeat(16)}/deeper`,
        `${prefix}/@/members/`,
        `${prefix}/@/members/0`,
        `${prefix}/@/members/foreign`,
        `${prefix}/@/snapshots/foreign/0`,
      ]);
      const { key } = await driver.lock(lock);
      const waiter = await queueUp(driver, lock);
      await driver.unlock(key);
      await driver.unlock((await waiter.granted).key);
      expect(await planted.unchanged()).toBe(true);
    },
  },
  {
    title: "the bytes of an etcd key do not unlock it",
    needs: ["etcd"],
    alone: true,
    async run({ driver, name }) {
      const etcd = requireEtcd(driver.etcd);
      const lock = name();
      const ours = `${etcd.prefix}/@/`;
      await using planted = await plant(etcd, ["foreign", `${ours}log/foreign`, `${ours}members/0`]);
      const { key } = await driver.lock(lock, { ttlMs: 60_000 });
      const own = await etcd.client.getAll().prefix(ours).keys();
      expect(own.length).toBeGreaterThan(3);
      // One after the other: of a hundred promises at a time that are settled in a page, Chromium's debugger may lose some.
      for (const bytes of [...planted.keys, ...own, ours]) {
        const { reason } = await failureOf(driver.unlock(Buffer.from(bytes)));
        expect(reason).toBe("invalid-key");
      }
      expect(await planted.unchanged()).toBe(true);
      expect(await driver.unlock(key)).toBe("released");
    },
  },
];

interface Planted extends AsyncDisposable {
  readonly keys: readonly string[];
  unchanged(): Promise<boolean>;
}

/** Puts keys into etcd; disposing takes them out again. The value is no message of ours. */
async function plant({ client }: EtcdSide, keys: readonly string[]): Promise<Planted> {
  const value = Buffer.from([0xff, 0xff, 0xff]);
  for (const key of keys) {
    await client.put(key).value(value);
  }
  return {
    keys,
    unchanged: async () => {
      const found = await Promise.all(keys.map((key) => client.get(key).exec()));
      return found.every(({ kvs: [kv] }) => kv?.version === "1" && kv.value.equals(value));
    },
    async [Symbol.asyncDispose]() {
      for (const key of keys) {
        await client.delete().key(key);
      }
    },
  };
}

function requireEtcd(etcd: EtcdSide | undefined): EtcdSide {
  if (etcd === undefined) {
    throw new Error('a backend without etcd needs the exemption "etcd"');
  }
  return etcd;
}
