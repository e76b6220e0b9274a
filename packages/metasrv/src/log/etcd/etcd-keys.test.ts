import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { id, lock } from "../../../test-support/node-fixture.js";
import { escapeLockName } from "../../locks/lock-name.js";
import { ticketIdFrom } from "../../locks/ticket-id.js";
import { EtcdKeys, type KeyRange } from "./etcd-keys.js";

const runs = { numRuns: 3_000, seed: Number(process.env.FAST_CHECK_SEED ?? 20) };
const keys = new EtcdKeys("metasrv");

const name = fc.uint8Array({ minLength: 1, maxLength: 12 }).map(escapeLockName);
const ticketId = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(ticketIdFrom);

function isWithin(key: Buffer, { start, end }: KeyRange): boolean {
  return Buffer.compare(key, start) >= 0 && Buffer.compare(key, end) < 0;
}

describe("keys", () => {
  test("are readable", () => {
    expect(keys.ticket(lock("a/b"), id(7)).toString()).toBe("metasrv/locks/a%2Fb/00000000000000000000000000000007");
    expect(keys.member("1a2b").toString()).toBe("metasrv/members/1a2b");
  });

  test("say what they stand for", () => {
    fc.assert(
      fc.property(name, ticketId, (lockName, ticket) => {
        expect(keys.parse(keys.ticket(lockName, ticket))).toEqual({ kind: "ticket", name: lockName, id: ticket });
      }),
      runs,
    );
    expect(keys.parse(keys.member("1a2b"))).toEqual({ kind: "member", id: "1a2b" });
  });

  test.each([
    "",
    "metasrv",
    "metasrv/",
    "metasrv/locks/",
    "metasrv/locks/a",
    "metasrv/locks/a/",
    "metasrv/locks//00000000000000000000000000000007",
    "metasrv/locks/a/0000000000000000000000000000000",
    "metasrv/locks/a/0000000000000000000000000000000G",
    "metasrv/locks/a/0000000000000000000000000000000A",
    "metasrv/locks/a/00000000000000000000000000000007/",
    "metasrv/locks/a/b/00000000000000000000000000000007",
    "metasrv/locks/%61/00000000000000000000000000000007",
    "metasrv/locks/a%2fb/00000000000000000000000000000007",
    "metasrv/locks/ä/00000000000000000000000000000007",
    "metasrv/members/",
    "metasrv/members/a/b",
    "metasrv/other/a",
    "metasrv2/members/1a2b",
    "x/metasrv/members/1a2b",
  ])("that are none: %j", (key) => {
    expect(keys.parse(Buffer.from(key))).toBeUndefined();
  });

  test("that are any bytes at all do no harm, and only those pass that could have been written", () => {
    const start = fc.constantFrom("", "metasrv/", "metasrv/locks/", "metasrv/locks/a/");
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 40 }), (text, rest) => {
        const key = Buffer.concat([Buffer.from(text), rest]);
        const parsed = keys.parse(key);
        expect(parsed?.kind !== "ticket" || keys.ticket(parsed.name, parsed.id).equals(key)).toBe(true);
      }),
      runs,
    );
  });
});

describe("ranges", () => {
  test("of one lock hold its tickets and no other lock's", () => {
    fc.assert(
      fc.property(name, name, ticketId, (one, other, ticket) => {
        expect(isWithin(keys.ticket(one, ticket), keys.tickets(one))).toBe(true);
        expect(isWithin(keys.ticket(other, ticket), keys.tickets(one))).toBe(one === other);
      }),
      runs,
    );
    for (const neighbour of ["a/b", "a/", "a0", "a.", "aa", "a%2F"]) {
      expect(isWithin(keys.ticket(lock(neighbour), id(1)), keys.tickets(lock("a")))).toBe(false);
    }
  });

  test("of one lock hold every key, whoever wrote it, that is said to stand among its tickets", () => {
    const start = fc.constantFrom("", "metasrv/locks/a", "metasrv/locks/a/", "metasrv/members/");
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 8 }), (text, rest) => {
        const key = Buffer.concat([Buffer.from(text), rest]);
        const name = keys.lockOf(key);
        expect(name !== undefined && isWithin(key, keys.tickets(name))).toBe(name !== undefined);
        expect(isWithin(key, keys.tickets(lock("a")))).toBe(name === lock("a"));
      }),
      runs,
    );
    expect(keys.lockOf(Buffer.from("metasrv/locks/a/by-hand"))).toBe(lock("a"));
  });

  test("of everything hold all keys of the cluster, and none of a cluster with another prefix", () => {
    const prefixes = ["metasrv", "metasrv2", "metasrv.", "metasrv-a", "metasr", "/metasrv", "a/metasrv", "metasrv0"];
    for (const prefix of prefixes) {
      const others = new EtcdKeys(prefix);
      for (const key of [others.ticket(lock("a"), id(1)), others.member("1a2b")]) {
        expect(isWithin(key, keys.all)).toBe(prefix === "metasrv");
        expect(keys.parse(key) !== undefined).toBe(prefix === "metasrv");
      }
    }
  });
});
