import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { EventEmitter } from "node:events";
import type { IKeyValue, IRangeResponse, IWatchRequest } from "etcd3";
import { pino } from "pino";
import { ManualClock, settled } from "../../../test-support/manual-clock.js";
import { escapeLockName } from "../../locks/lock-name.js";
import { ticketIdFrom } from "../../locks/ticket-id.js";
import type { LogEvent, TicketOp } from "../ticket-log.js";
import type { EtcdClient } from "./etcd-client.js";
import { encodeTicket } from "./etcd-codec.js";
import { EtcdFeed } from "./etcd-feed.js";
import { EtcdKeys } from "./etcd-keys.js";

const keys = new EtcdKeys("metasrv");
const ticket = { mode: "exclusive", ttlMs: 1_000, owner: "", memberId: "m1", resumable: true, attempt: 0 } as const;
const name = escapeLockName(Buffer.from("orders"));
const id = ticketIdFrom(new Uint8Array(16));
const key = keys.ticket(name, id);
const op: TicketOp = { kind: "create", name, id, ticket, onlyIfFree: false };

/** One watch, answered by the test. */
class Watch extends EventEmitter {
  readonly requests: IWatchRequest[] = [];
  canceled = false;

  write(request: IWatchRequest): void {
    this.requests.push(request);
  }

  cancel(): void {
    this.canceled = true;
    this.emit("end");
  }

  /** etcd cannot show all any more. */
  lose(): void {
    this.emit("data", {
      created: false,
      canceled: true,
      compact_revision: "60",
      header: { revision: "60" },
      events: [],
    });
  }

  /** etcd says how far it is, and delivers a change of the revision. */
  respond(headerRevision: number, eventRevision?: number): void {
    const kv = {
      key,
      value: encodeTicket(ticket),
      create_revision: String(eventRevision),
      mod_revision: String(eventRevision),
    };
    this.emit("data", {
      created: false,
      canceled: false,
      header: { revision: String(headerRevision) },
      events: eventRevision === undefined ? [] : [{ type: "Put", kv }],
    });
  }
}

describe("a feed", () => {
  let clock: ManualClock;
  let feed: EtcdFeed;
  let revision: number;
  let watches: Watch[];
  let events: LogEvent[];
  let delivered: bigint[];
  let range: EtcdClient["range"];

  beforeEach(async () => {
    clock = new ManualClock();
    revision = 50;
    watches = [];
    events = [];
    delivered = [];
    range = () =>
      Promise.resolve({ header: { revision: String(revision) }, kvs: [], more: false } as unknown as IRangeResponse);
    const watchStream = () => {
      const watch = new Watch();
      watches.push(watch);
      return watch;
    };
    feed = new EtcdFeed({
      client: {
        range: (...call: Parameters<EtcdClient["range"]>) => range(...call),
        watchStream,
      } as unknown as EtcdClient,
      keys,
      clock,
      logger: pino({ level: "silent" }),
      hosts: ["etcd"],
      connectTimeoutMs: 1_000,
      checkMs: 3_000,
      requestTimeoutMs: 3_000,
    });
    await feed.open({
      reset: () => undefined,
      apply: (changes: readonly LogEvent[]) => {
        events.push(...changes);
        delivered.push(...changes.flatMap((event) => ("modRevision" in event ? [event.modRevision] : [])));
      },
    });
    await settled();
  });

  afterEach(async () => {
    await feed.close();
  });

  function watch(number = watches.length): Watch {
    const found = watches[number - 1];
    if (found === undefined) {
      throw new Error(`there is no watch ${number}`);
    }
    return found;
  }

  describe("is told of a transaction of this node's own", () => {
    test("and delivers it at once where it comes next, and not once more by the watch", () => {
      watch().respond(50);
      feed.committed(51n, [op]);
      expect(delivered).toEqual([51n]);
      watch().respond(51, 51);
      watch().respond(52, 52);
      expect(delivered).toEqual([51n, 52n]);
    });

    test("and delivers what it did, whatever that was", () => {
      watch().respond(50);
      feed.committed(51n, [
        op,
        { ...op, kind: "update", createRevision: 7n, modRevision: 9n },
        { kind: "delete", name, id, condition: { createRevision: 7n } },
      ]);
      expect(events).toEqual([
        { kind: "ticket-put", name, id, ticket, createRevision: 51n, modRevision: 51n },
        { kind: "ticket-put", name, id, ticket, createRevision: 7n, modRevision: 51n },
        { kind: "ticket-deleted", name, id },
      ]);
    });

    test("and leaves it to the watch when something else came in between", () => {
      watch().respond(50);
      feed.committed(52n, [op]);
      expect(delivered).toEqual([]);
      watch().respond(52, 51);
      watch().respond(52, 52);
      expect(delivered).toEqual([51n, 52n]);
    });

    test("and does nothing when the watch was faster", () => {
      watch().respond(51, 51);
      feed.committed(51n, [op]);
      expect(delivered).toEqual([51n]);
    });

    test("and leaves it to the watch while none has shown that the store is the same as before", async () => {
      feed.committed(51n, [op]);
      watch().respond(50);
      watch().cancel();
      feed.committed(51n, [op]);
      expect(delivered).toEqual([]);
      await clock.advance(1_000);
      expect(watch(2).requests[0]).toMatchObject({ create_request: { start_revision: "51" } });
    });
  });

  test("keeps a watch that has come as far", async () => {
    revision = 100;
    await clock.advance(3_000);
    expect(watch().requests.at(-1)).toEqual({ progress_request: {} });
    watch().respond(100);
    await clock.advance(30_000);
    expect([watches.length, watch().canceled]).toEqual([1, false]);
  });

  test("opens another watch when one stays silent, from where it came to", async () => {
    watch().respond(60, 60);
    revision = 100;
    await clock.advance(6_000);
    expect(watch(1).canceled).toBe(true);
    await clock.advance(1_000);
    expect(watch(2).requests[0]).toMatchObject({ create_request: { start_revision: "61" } });
  });

  test("is not taken in by a header that is ahead of the events still to come", async () => {
    revision = 100;
    await clock.advance(3_000);
    watch().respond(100, 60);
    await clock.advance(3_000);
    expect([watch(1).canceled, delivered]).toEqual([true, [60n]]);
  });

  test("opens another watch at once when one does not show what was committed", async () => {
    feed.committed(60n, [op]);
    await clock.advance(250);
    expect(watch(1).requests.at(-1)).toEqual({ progress_request: {} });
    await clock.advance(499);
    expect(watch(1).canceled).toBe(false);
    await clock.advance(1);
    expect(watch(1).canceled).toBe(true);
    await clock.advance(1_000);
    expect(watch(2).requests[0]).toMatchObject({ create_request: { start_revision: "51" } });
  });

  test("keeps a watch that shows it, or is further already, or still has others to show", async () => {
    feed.committed(60n, [op]);
    watch().respond(60, 60);
    await clock.advance(1_000);
    feed.committed(59n, [op]);
    await clock.advance(1_000);
    feed.committed(80n, [op]);
    for (let event = 61; event < 80; event++) {
      await clock.advance(200);
      watch().respond(event, event);
    }
    watch().respond(80, 80);
    await clock.advance(500);
    expect([watches.length, watch().canceled]).toEqual([1, false]);
  });

  test("gives the next watch more time, which may have much to gather, until one shows everything", async () => {
    feed.committed(60n, [op]);
    await clock.advance(750 + 3 * 500);
    expect([watches.length, watch(2).canceled]).toEqual([2, false]);
    // It was opened after a pause of less than that.
    await clock.advance(100);
    expect(watch(2).canceled).toBe(true);
    await clock.advance(1_000);
    watch(3).respond(60, 60);
    feed.committed(61n, [op]);
    await clock.advance(1_000);
    expect(watch(3).canceled).toBe(true);
  });

  test("lists again after a gap, and gives a first page twice as long as the last, up to a bound", async () => {
    const given: number[] = [];
    const whole = range;
    range = (request, timeoutMs) => {
      given.push(timeoutMs);
      return given.length < 5 ? Promise.reject(new Error("no answer")) : whole(request, timeoutMs);
    };
    watch().lose();
    await clock.advance(2_900);
    expect(given).toEqual([1_000, 2_000, 3_000, 3_000, 3_000]);

    const kv = { key, value: encodeTicket(ticket), create_revision: "50", mod_revision: "50" };
    range = async (request, timeoutMs) => {
      given.push(timeoutMs);
      const page = await whole(request, timeoutMs);
      return given.length === 6 ? { ...page, kvs: [kv as IKeyValue], more: true } : page;
    };
    watch().lose();
    await clock.advance(1_100);
    expect(given.slice(5)).toEqual([1_000, 3_000]);
  });

  test("says so when it may be behind: nothing was compared for five times as long as usual", async () => {
    expect(feed.lag()).toBeUndefined();
    await clock.advance(3_000);
    watch().respond(50);
    await clock.advance(15_000);
    expect(feed.lag()).toBeUndefined();
    revision = 100;
    // From now on the watch is silent, and the ones after it too.
    await clock.advance(18_000);
    expect(feed.lag()).toMatch(/^it may have missed what was committed in the last \d+ s/);
    while (watch().requests.length === 1) {
      await clock.advance(100);
    }
    watch().respond(100);
    expect(feed.lag()).toBeUndefined();
  });

  test("says so when the store does not answer", async () => {
    range = () => new Promise(() => undefined);
    await clock.advance(15_000);
    expect(feed.lag()).toBeUndefined();
    await clock.advance(1);
    expect(feed.lag()).toBeDefined();
  });
});
