import { beforeEach, describe, expect, test } from "@jest/globals";
import { ManualClock, settled } from "@metasrv/wire/testing";
import { FakeEtcd, noAnswer, promptly } from "../../../test-support/fake-etcd.js";
import { goOn, Others } from "../../../test-support/log-stage.js";
import { create } from "../../../test-support/told.js";
import { Fold } from "../../fold/fold.js";
import { HeadReader } from "./head.js";
import { LogKeys } from "./keys.js";

const keys = new LogKeys("metasrv");

describe("the head of the log", () => {
  let etcd: FakeEtcd;
  let others: Others;
  let member: string;
  let members: string[];
  let clock: ManualClock;
  let head: HeadReader;
  let delivered: bigint;
  let heard: (readonly [bigint, bigint])[];
  let awaited: { readonly revision: bigint; readonly resolve: () => void }[];

  beforeEach(async () => {
    etcd = new FakeEtcd();
    others = new Others(etcd, keys);
    member = await others.join();
    members = [member];
    clock = new ManualClock();
    delivered = etcd.revision;
    heard = [];
    awaited = [];
    etcd.calls.length = 0;
    head = new HeadReader({
      client: etcd,
      keys,
      clock,
      random: () => 0.5,
      fold: new Fold(),
      members: () => members,
      hosts: ["etcd"],
      timeoutMs: 1_000,
      requestTimeoutMs: 5_000,
      revision: () => delivered,
      heard: ({ revision }, at) => heard.push([revision, at]),
      reached: (revision) =>
        revision <= delivered ? Promise.resolve() : new Promise((resolve) => awaited.push({ revision, resolve })),
    });
  });

  /** Everything up to the revision is delivered. */
  async function deliver(revision: bigint): Promise<void> {
    delivered = revision;
    for (const { resolve } of awaited.splice(0)) {
      resolve();
    }
    await goOn();
  }

  async function state(promise: Promise<void>): Promise<string> {
    await goOn();
    const pending = settled().then(() => "pending");
    return Promise.race([promise.then(() => "done"), pending]);
  }

  test("is nothing where there is nothing new, whatever others have written", async () => {
    etcd.pass(10);
    expect(await head.read()).toEqual({ revision: 0n, isWhole: true, gone: [] });
  });

  test("is the last entry of the members that are known", async () => {
    others.write(member, []);
    const last = others.write(member, []);
    etcd.pass(1);
    expect(await head.read()).toEqual({ revision: last, isWhole: true, gone: [] });
  });

  test("is not whole while there is a member that was not known: it may have written", async () => {
    const late = await others.join();
    const joinedAt = etcd.revision;
    others.write(late, []);
    expect(await head.read()).toEqual({ revision: joinedAt, isWhole: false, gone: [] });
  });

  test("is not whole while one has joined, written and gone that was not known", async () => {
    const late = await others.join();
    others.write(late, []);
    await etcd.txn(
      { compare: [], success: [{ kind: "put", key: keys.joined, value: Buffer.from(late) }], failure: [] },
      1_000,
    );
    const joinedAt = etcd.revision;
    await etcd.txn({ compare: [], success: [{ kind: "delete", key: keys.member(late) }], failure: [] }, 1_000);
    expect(await head.read()).toEqual({ revision: joinedAt, isWhole: false, gone: [] });
    delivered = etcd.revision;
    expect(await head.read()).toMatchObject({ isWhole: true });
  });

  test("names the members that are gone and that were known", async () => {
    const other = await others.join();
    members.push(other);
    delivered = etcd.revision;
    await etcd.txn({ compare: [], success: [{ kind: "delete", key: keys.member(other) }], failure: [] }, 1_000);
    expect(await head.read()).toEqual({ revision: 0n, isWhole: true, gone: [other] });
  });

  test("is not whole while a member has written more than is looked at", async () => {
    for (let n = 0; n < 64; n++) {
      others.write(member, []);
    }
    expect(await head.read()).toEqual({ revision: etcd.revision, isWhole: false, gone: [] });
  });

  test("is whole though there are many keys that look like a member's entries and were none", async () => {
    for (let n = 0; n < 64; n++) {
      etcd.write(keys.entry(member, 1_000 + n), "\x67garbage");
    }
    expect((await head.read()).isWhole).toBe(false);
    delivered = etcd.revision;
    expect(await head.read()).toEqual({ revision: 0n, isWhole: true, gone: [] });
  });

  test("tells of every answer, and how far the delivered was when it was asked for", async () => {
    etcd.pass(1);
    await head.read();
    expect(heard).toEqual([[etcd.revision, delivered]]);
  });

  describe("catching up", () => {
    test("takes until everything is delivered that there was, page by page", async () => {
      const late = await others.join();
      const joinedAt = etcd.revision;
      for (let n = 0; n < 64; n++) {
        others.write(late, [create(n)]);
      }
      const caughtUp = head.catchUp();
      expect(await state(caughtUp)).toBe("pending");
      members = [member, late];
      await deliver(joinedAt);
      expect(await state(caughtUp)).toBe("pending");
      await deliver(etcd.revision);
      members = [];
      expect(await state(caughtUp)).toBe("done");
    });

    test("is shared by all that ask before its read is sent, and by all that ask after", async () => {
      let letGo = () => undefined as unknown;
      etcd.behaviour = async (call, run, timeoutMs) => {
        await new Promise<void>((resolve) => (letGo = resolve));
        return promptly(call, run, timeoutMs);
      };
      const first = head.catchUp();
      const [second, third] = [head.catchUp(), head.catchUp()];
      await goOn();
      expect(etcd.calls).toHaveLength(1);
      letGo();
      expect([await state(first), await state(second)]).toEqual(["done", "pending"]);
      expect(etcd.calls).toHaveLength(2);
      letGo();
      await Promise.all([second, third]);
      expect(etcd.calls).toHaveLength(2);
    });

    test("asks again when an answer is lost", async () => {
      let lost = 0;
      etcd.behaviour = (call, run, timeoutMs) =>
        lost++ < 3 ? Promise.reject(noAnswer()) : promptly(call, run, timeoutMs);
      const caughtUp = head.catchUp();
      await clock.advance(2_000);
      expect(await state(caughtUp)).toBe("done");
    });

    test("fails when there is no answer in the time configured", async () => {
      etcd.behaviour = () => Promise.reject(noAnswer());
      const failed = expect(head.catchUp()).rejects.toMatchObject({ reason: "store-unavailable" });
      await clock.advance(7_000);
      await failed;
    });

    test("fails when what there is is not delivered in the time configured", async () => {
      others.write(member, []);
      const failed = expect(head.catchUp()).rejects.toMatchObject({ reason: "store-unavailable" });
      await clock.advance(5_000);
      await failed;
    });

    test("fails for one, and not for those after it, when the answer to the one does not come", async () => {
      etcd.behaviour = () => Promise.reject(noAnswer());
      const first = expect(head.catchUp()).rejects.toMatchObject({ reason: "store-unavailable" });
      const second = head.catchUp();
      await clock.advance(4_900);
      etcd.behaviour = (call, run, timeoutMs) =>
        clock.now() < 7_500 ? Promise.reject(noAnswer()) : promptly(call, run, timeoutMs);
      await clock.advance(4_000);
      await first;
      await second;
    });

    test("fails when it is closed before everything was delivered", async () => {
      others.write(member, []);
      const failed = expect(head.catchUp()).rejects.toMatchObject({ reason: "store-unavailable" });
      await goOn();
      head.close();
      // The feed wakes all that wait when it ends.
      await deliver(delivered);
      await failed;
    });

    test("ends when it is closed", async () => {
      etcd.behaviour = () => Promise.reject(noAnswer());
      const failed = expect(head.catchUp()).rejects.toMatchObject({ reason: "store-unavailable" });
      await goOn();
      head.close();
      await failed;
    });
  });
});
