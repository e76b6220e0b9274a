import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { Grant, LockStore, TicketLog } from "@metasrv/metasrv";
import { type Etcd, leakCheck, startEtcd, until } from "@metasrv/testing";
import { Etcd3 } from "etcd3";
import { type NodeInProcess, startNodeInProcess } from "./node-in-process.js";

// The watch and the answer to a transaction come on two streams, in any order. Where the watch comes first, a held ticket
// that a node takes over must not look to it like one that nobody waits for. Where it comes late, a node that does not
// know yet that its ticket has gone to another must not take a lock that is held for one that is lost.

const name = Buffer.from("a");
const ttlMs = 60_000;

let etcd: Etcd;
let client: Etcd3;

beforeAll(async () => {
  etcd = await startEtcd();
  client = new Etcd3({ hosts: etcd.endpoint });
});

test("a held lock that is renewed at another node stays held when the watch is ahead of the answer", async () => {
  await using first = await startNode("renewed", (log) => log);
  await using second = await startNode("renewed", watchFirst);
  const grant = await lock(first.store);
  await until(() => second.store.state(name).holderToken === grant.token, { what: "the other node to know it" });
  expect(await second.store.renew(grant.key)).toBe(ttlMs);
  // Deleted in error, it would be gone by the time an op behind the deletion is answered.
  await expect(second.store.renew(grant.key)).resolves.toBe(ttlMs);
  expect(await client.getAll().prefix("renewed/locks/").count()).toBe(1);
  await second.store.unlock(grant.key);
});

test("a held lock whose node is gone stays held when the watch is ahead of the answer", async () => {
  let grant: Grant;
  {
    await using first = await startNode("orphaned", (log) => log);
    grant = await lock(first.store);
  }
  await using second = await startNode("orphaned", watchFirst);
  await until(() => second.store.size === 1, { what: "the takeover" });
  await expect(second.store.renew(grant.key)).resolves.toBe(ttlMs);
  expect(await client.getAll().prefix("orphaned/locks/").count()).toBe(1);
  await second.store.unlock(grant.key);
});

test("a held lock that has gone to another node can be renewed where it was, before that node's watch tells of it", async () => {
  const watch = new HeldBackWatch();
  await using first = await startNode("returned", (log) => watch.of(log));
  await using second = await startNode("returned", (log) => log);
  const grant = await lock(first.store);
  await until(() => second.store.state(name).holderToken === grant.token, { what: "the other node to know it" });
  watch.holdBack();
  await second.store.renew(grant.key);
  const renewed = first.store.renew(grant.key);
  await expect(renewed).resolves.toBe(ttlMs);
  watch.letGo();
  expect(await client.getAll().prefix("returned/locks/").count()).toBe(1);
  await first.store.unlock(grant.key);
});

function startNode(prefix: string, decorate: (log: TicketLog) => TicketLog): Promise<NodeInProcess> {
  return startNodeInProcess({ host: etcd.endpoint, prefix, decorate });
}

function lock(store: LockStore): Promise<Grant> {
  return new Promise((granted, failed) => {
    store.claim({ name, ttlMs }, { granted, failed, refused: () => undefined, lost: () => undefined });
  });
}

/** Answers an op only after the log has delivered the event of it. */
function watchFirst(log: TicketLog): TicketLog {
  let deliveredUpTo = 0n;
  return {
    open: (listener) =>
      log.open({
        reset: (listing) => {
          listener.reset(listing);
          deliveredUpTo = listing.revision;
        },
        apply: (events) => {
          listener.apply(events);
          for (const event of events) if (event.kind === "ticket-put") deliveredUpTo = event.modRevision;
        },
      }),
    append: async (op) => {
      const result = await log.append(op);
      if (result.done && op.kind !== "delete") {
        await until(() => deliveredUpTo >= result.revision, { what: "the event of the op" });
      }
      return result;
    },
    lag: () => log.lag(),
    join: (member, listener) => log.join(member, listener),
    leave: () => log.leave(),
    close: () => log.close(),
  };
}

/** A watch that can be late. */
class HeldBackWatch {
  #heldBack: (() => void)[] | undefined;

  holdBack(): void {
    this.#heldBack = [];
  }

  letGo(): void {
    const deliveries = this.#heldBack ?? [];
    this.#heldBack = undefined;
    for (const deliver of deliveries) deliver();
  }

  of(log: TicketLog): TicketLog {
    const deliver = (delivery: () => void): void => {
      if (this.#heldBack === undefined) delivery();
      else this.#heldBack.push(delivery);
    };
    return {
      open: (listener) =>
        log.open({
          reset: (listing) => {
            deliver(() => {
              listener.reset(listing);
            });
          },
          apply: (events) => {
            deliver(() => {
              listener.apply(events);
            });
          },
        }),
      append: (op) => log.append(op),
      lag: () => log.lag(),
      join: (member, listener) => log.join(member, listener),
      leave: () => log.leave(),
      close: () => log.close(),
    };
  }
}

afterAll(async () => {
  client.close();
  await etcd[Symbol.asyncDispose]();
});
afterAll(leakCheck());
