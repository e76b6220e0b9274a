import { createHash } from "node:crypto";
import { beforeEach, describe, expect, test } from "@jest/globals";
import { settled } from "@metasrv/wire/testing";
import { lock, type NodeFixture, scriptedNode } from "../../test-support/node-fixture.js";
import { Recorder } from "../../test-support/recorder.js";
import type { ScriptedLog } from "../../test-support/scripted-log.js";
import type { Permitted } from "../api/access.js";
import type { Connection } from "../api/caller.js";
import { defaultLimits } from "../model/limits.js";
import { LockError, type LockErrorReason } from "../model/lock-errors.js";
import { exclusive } from "../model/ticket-content.js";
import type { ClaimRequest } from "../node/claim.js";
import { Audit } from "./audit.js";
import type { AuthConfig } from "./auth-config.js";
import { GuardedAccess } from "./guarded-access.js";
import type { QuotasConfig } from "./quotas-config.js";

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

/** Of each principal, its name is its token. */
function authOf(roles: AuthConfig["roles"], more: Partial<AuthConfig> = {}): AuthConfig {
  const names = Object.keys(roles ?? {});
  return { principals: names.map((name) => ({ name, tokenSha256: [sha256(name)] })), roles, ...more };
}

let node: NodeFixture<ScriptedLog>;
let access: GuardedAccess;
let audited: Record<string, unknown>[];

beforeEach(async () => {
  node = await scriptedNode();
  audited = [];
});

function guard(auth: AuthConfig, quotas: QuotasConfig = {}): void {
  const { clock, store: locks } = node;
  access = new GuardedAccess({
    ...{ locks, operated: locks, auth, quotas, clock, limits: defaultLimits, plainTokens: false },
    audit: new Audit({ write: (line) => audited.push(JSON.parse(line) as Record<string, unknown>), clock }),
  });
}

/** What a principal may use. */
function as(principal: string): Permitted {
  return access.of({ method: "the.Service/Method", authorization: `Bearer ${principal}`, connection: undefined });
}

/** A principal asks for a lock; several, divided by spaces, at once. */
function ask(principal: string, names: string, request: Partial<ClaimRequest> = {}) {
  const [name = "", ...others] = names.split(" ");
  const recorder = new Recorder();
  const claim = as(principal).locks.claim(
    {
      name: Buffer.from(name),
      others: others.map((other) => ({ name: Buffer.from(other), share: exclusive })),
      ...request,
    },
    recorder,
  );
  return Object.assign(recorder, { claim });
}

async function asked(...args: Parameters<typeof ask>) {
  const recorder = ask(...args);
  await settled();
  return recorder;
}

async function refusal(act: () => unknown): Promise<LockError> {
  try {
    await act();
  } catch (error) {
    if (error instanceof LockError) {
      return error;
    }
    throw error;
  }
  throw new Error("it was not refused");
}

const reason = async (act: () => unknown): Promise<LockErrorReason> => (await refusal(act)).reason;

const all = [{ prefix: "", allow: ["lock", "inspect", "force"] }] satisfies NonNullable<AuthConfig["roles"]>[string];
const lockOnly = [{ prefix: "", allow: ["lock"] }] satisfies NonNullable<AuthConfig["roles"]>[string];

describe("who it is", () => {
  test.each([
    [undefined, "neither a token nor a client certificate"],
    ["Bearer wrong", "the token is none of a principal here"],
    ["Basic b3BzOm9wcw==", 'not "Bearer" with a token'],
    ["Bearer ", 'not "Bearer" with a token'],
  ])("%s is nobody", async (authorization, why) => {
    guard(authOf({ ops: all }));
    const error = await refusal(() => access.of({ method: "a.B/C", authorization, connection: undefined }));
    expect(error.reason).toBe("unauthenticated");
    expect(error.message).toContain(why);
    expect(audited).toMatchObject([{ event: "denied", method: "a.B/C" }]);
  });

  test("who shows nothing is anonymous where that is configured; who shows a wrong token is nobody still", async () => {
    guard(authOf({ ops: all, guest: lockOnly }, { anonymous: "guest" }));
    const nobody = { method: "a.B/C", authorization: undefined, connection: undefined };
    expect(access.of(nobody).identity?.principal).toBe("guest");
    expect(await reason(() => access.of({ ...nobody, authorization: "Bearer wrong" }))).toBe("unauthenticated");
  });

  test.each([
    ["URI:spiffe://corp/other", "the client certificate is of URI:spiffe://corp/other, which is no principal here"],
    [undefined, "the client certificate has no name that can be a principal's"],
  ])("who shows a certificate with the names %s is not anonymous, but nobody", async (subjectaltname, why) => {
    const billing = { name: "billing", certificateSan: "spiffe://corp/billing" };
    guard({ principals: [billing, { name: "guest" }], anonymous: "guest", roles: { guest: lockOnly } });
    const by = (names: string | undefined, authorized = true) => {
      const socket = { destroyed: false, authorized, getPeerCertificate: () => ({ subjectaltname: names }) };
      return access.of({ method: "a.B/C", authorization: undefined, connection: socket as unknown as Connection });
    };
    expect(by("URI:spiffe://corp/billing").identity?.principal).toBe("billing");
    expect(by(undefined, false).identity?.principal).toBe("guest");
    const error = await refusal(() => by(subjectaltname));
    expect(error.reason).toBe("unauthenticated");
    expect(error.message).toContain(why);
  });

  test.each(["constructor", "toString", "hasOwnProperty"])(
    "a principal may be called %s; it has no rights by that",
    async (name) => {
      guard({ principals: [{ name, tokenSha256: [sha256(name)] }], roles: {} });
      expect(as(name).identity?.principal).toBe(name);
      expect(await reason(() => ask(name, "a"))).toBe("permission-denied");
    },
  );
});

describe("the right to lock", () => {
  test("is needed for each name of a request, and the refusal says who lacks what for which", async () => {
    guard(authOf({ billing: [{ prefix: "orders/", allow: ["lock"] }] }));
    expect((await asked("billing", "orders/1 orders/2")).told).toEqual(["granted"]);
    const error = await refusal(() => ask("billing", "orders/3 stock/1"));
    expect(error.reason).toBe("permission-denied");
    expect(error.message).toContain('the principal "billing" does not have the right "lock" for "stock/1"');
    expect(audited).toMatchObject([
      { event: "denied", principal: "billing", method: "the.Service/Method", right: "lock", lock: "stock/1" },
    ]);
  });

  test("is needed to renew, by key, in a session and when a session resumes, for each name; not to release", async () => {
    guard(authOf({ billing: lockOnly }));
    const { claim, grant } = await asked("billing", "a b", { ticketId: new Uint8Array(16).fill(1) });
    const withdrawn = authOf({ billing: [{ exact: "a", allow: ["lock"] }] });
    const { locks } = as("billing");
    await locks.renew(grant.key);
    access.replace(withdrawn, {});
    expect(await reason(() => locks.renew(grant.key))).toBe("permission-denied");
    expect(await reason(() => claim.renew({}))).toBe("permission-denied");
    expect(await reason(() => locks.resume(grant.key, {}, new Recorder()))).toBe("permission-denied");
    await locks.unlock(grant.key);
    expect(node.store.size).toBe(0);
  });

  test("that is withdrawn while a request waits lets it not be granted", async () => {
    guard(authOf({ billing: lockOnly }));
    const holder = await asked("billing", "a");
    const waiter = await asked("billing", "a");
    access.replace(authOf({ billing: [] }), {});
    await holder.claim.release();
    await settled();
    expect(waiter.told).toEqual(["failed: permission-denied"]);
    expect(node.store.size).toBe(0);
  });

  test("ends the hold within its TTL when it is withdrawn", async () => {
    guard(authOf({ billing: lockOnly, stock: lockOnly }));
    const holder = await asked("billing", "a", { ttlMs: 10_000 });
    access.replace(authOf({ billing: [], stock: lockOnly }), {});
    const next = await asked("stock", "a");
    expect(await reason(() => holder.claim.renew({}))).toBe("permission-denied");
    await node.clock.advance(9_999);
    expect(next.told).toEqual([]);
    await node.clock.advance(1);
    expect(holder.told).toEqual(["granted", "lost: expired"]);
    expect(next.told).toEqual(["granted"]);
  });
});

test("what proves nobody any more serves nobody, but what is left of the principal goes on", async () => {
  const tokens = (...texts: string[]) => [{ name: "billing", tokenSha256: texts.map(sha256) }];
  guard({ principals: tokens("old", "new"), roles: { billing: lockOnly } });
  const old = as("old");
  const fresh = as("new");
  access.replace({ principals: tokens("new"), roles: { billing: lockOnly } }, {});
  expect([old.identity?.isValid, fresh.identity?.isValid]).toEqual([false, true]);
  const error = await refusal(() => old.locks.claim({ name: Buffer.from("a") }, new Recorder()));
  expect(error.reason).toBe("unauthenticated");
  expect(error.message).toContain('what proved the principal "billing" does not prove it any more');
  fresh.locks.claim({ name: Buffer.from("a") }, new Recorder());
});

describe("without the right to inspect, nobody learns who holds", () => {
  beforeEach(() => {
    guard(authOf({ ops: all, billing: [{ prefix: "", allow: ["lock", "force"] }] }));
  });

  test("from a try that is refused", async () => {
    await asked("ops", "a", { owner: "secret" });
    const seen = await asked("ops", "a", { waitMs: 0 });
    const { told, refusals } = await asked("billing", "a", { waitMs: 0 });
    expect(seen.refusals).toMatchObject([{ holderOwner: "secret", holderCount: 1 }]);
    expect(told).toEqual(["refused"]);
    expect(refusals).toEqual([
      {
        ...{ holderOwner: "", holderToken: 0n, waiters: 0, holders: [], holderCount: 0 },
        ...{ permitsHeld: 0, limit: 0, position: 0 },
      },
    ]);
  });

  test("from a wait that is over", async () => {
    await asked("ops", "a", { owner: "secret" });
    const seen = await asked("ops", "a", { waitMs: 500 });
    const unseen = await asked("billing", "a", { waitMs: 500 });
    await node.clock.advance(500);
    expect(seen.errors[0]?.message).toContain("secret");
    expect(unseen.errors).toMatchObject([{ reason: "wait-timed-out", state: undefined }]);
    expect(unseen.errors[0]?.message).toContain("not granted within 500 ms");
    expect(unseen.errors[0]?.message).not.toContain("secret");
  });

  test("by any call that shows locks, or by a release by force", async () => {
    const { grant } = await asked("ops", "a", { owner: "secret" });
    const { operated } = as("billing");
    const page = { prefix: lock(""), pageSize: 10, after: lock(""), minToken: 0n, waitingOnly: false, minWaitMs: 0 };
    const { signal } = new AbortController();
    expect(await reason(() => operated.inspection.get(lock("a"), 0n, 10))).toBe("permission-denied");
    expect(await reason(() => operated.inspection.list(page))).toBe("permission-denied");
    expect(await reason(() => operated.inspection.blocked(page))).toBe("permission-denied");
    expect(await reason(() => operated.inspection.forced(0n, undefined, 10))).toBe("permission-denied");
    expect(await reason(() => operated.watch.one(lock("a"), 10, signal).next())).toBe("permission-denied");
    expect(await reason(() => operated.watch.many({ prefix: lock(""), pulse: false }, signal).next())).toBe(
      "permission-denied",
    );
    const by = { actor: "", reason: "look" };
    expect(await reason(() => operated.force(lock("a"), grant.token, by, true))).toBe("permission-denied");
  });
});

describe("what is shown", () => {
  const ops = () => as("ops").operated;
  const names = (rows: readonly { readonly name: string }[]) => rows.map(({ name }) => name);
  /** What is shown once the pauses between lists are over. */
  const later = async <T>(shown: Promise<T>): Promise<T> => {
    shown.catch(() => undefined);
    await settled();
    await node.clock.advance(200);
    return shown;
  };

  beforeEach(async () => {
    const seesOrders = [
      { prefix: "", allow: ["lock"] },
      { prefix: "orders/", allow: ["inspect", "force"] },
    ] satisfies NonNullable<AuthConfig["roles"]>[string];
    guard(authOf({ ops: seesOrders, others: all }));
    await asked("others", "orders/1 secret/1");
    await asked("others", "secret/0");
    await asked("others", "orders/1", { owner: "nightly" });
    await asked("others", "zoo", { within: [{ name: Buffer.from("secret/0"), token: 1n }] });
    await asked("others", "orders/2", { within: [{ name: Buffer.from("secret/0"), token: 1n }] });
  });

  test("is only what may be seen, in lists, whose page tokens name nothing else, too", async () => {
    const request = { prefix: lock(""), after: lock(""), minToken: 0n, waitingOnly: false, minWaitMs: 0 };
    const first = await later(ops().inspection.list({ ...request, pageSize: 1 }));
    expect([names(first.locks), first.next]).toEqual([["orders/1"], "orders/1"]);
    const second = await later(ops().inspection.list({ ...request, pageSize: 1, after: lock("orders/1") }));
    expect([names(second.locks), second.next]).toEqual([["orders/2"], "orders/2"]);
    const third = await later(ops().inspection.list({ ...request, pageSize: 1, after: lock("orders/2") }));
    expect([names(third.locks), third.next]).toEqual([[], undefined]);
    const blocked = await later(ops().inspection.blocked({ ...request, pageSize: 10 }));
    expect(names(blocked.locks.map((row) => row.lock))).toEqual(["orders/1"]);
  });

  test("does not name other locks of a request", async () => {
    const { tickets } = await ops().inspection.get(lock("orders/1"), 0n, 10);
    expect(tickets.map(({ parts }) => parts)).toEqual([["orders/1"], []]);
    const within = (await ops().inspection.get(lock("orders/2"), 0n, 10)).tickets.map((ticket) => ticket.within);
    expect(within).toEqual([[]]);
  });

  test("of a release by force needs the right for all locks of the request; it names the principal, and is audited", async () => {
    const [several, next] = (await ops().inspection.get(lock("orders/1"), 0n, 10)).tickets;
    const by = { actor: "night shift", reason: "stuck" };
    const force = (token = 0n, dryRun = false) => ops().force(lock("orders/1"), token, by, dryRun);
    for (const dryRun of [false, true]) {
      const refused = await refusal(() => force(several?.token, dryRun));
      expect(refused.reason).toBe("permission-denied");
      expect(refused.message).not.toContain("secret");
    }
    await force(next?.token, true);
    await force(next?.token);
    const records = await ops().inspection.forced(0n, undefined, 10);
    expect(records).toMatchObject([{ name: "orders/1", actor: "ops: night shift", reason: "stuck" }]);
    const lines = audited.filter(({ event }) => event === "force");
    expect(lines).toMatchObject([
      { principal: "ops", right: "force", lock: "orders/1", outcome: expect.stringContaining("secret/1") },
      { outcome: expect.stringContaining("secret/1") },
      { token: String(next?.token), owner: "nightly", actor: "night shift", reason: "stuck", outcome: "dry run" },
      { token: String(next?.token), owner: "nightly", actor: "night shift", reason: "stuck", outcome: "done" },
    ]);
  });

  test("of a watch is only what may be seen; it begins anew when the rights change, and ends with them", async () => {
    const stop = new AbortController();
    const watch = ops().watch.many({ prefix: lock(""), pulse: false }, stop.signal);
    const shown = async () => {
      const next = await later(watch.next());
      if (next.done === true) {
        throw new Error("the watch has ended");
      }
      const { locks, removed, restarted } = next.value;
      return { locks: names(locks), removed, restarted };
    };
    expect(await shown()).toEqual({ locks: ["orders/1", "orders/2"], removed: [], restarted: false });
    const changed = shown();
    await asked("others", "secret/2");
    await asked("others", "orders/3");
    expect(await changed).toEqual({ locks: ["orders/3"], removed: [], restarted: false });
    access.replace(authOf({ ops: [{ prefix: "secret/", allow: ["inspect"] }], others: all }), {});
    expect(await shown()).toEqual({ locks: ["secret/0", "secret/1", "secret/2"], removed: [], restarted: true });
    const ended = reason(shown);
    access.replace(authOf({ ops: [], others: all }), {});
    expect(await ended).toBe("permission-denied");
    stop.abort();
  });

  test("of one lock ends with the right, too", async () => {
    const { signal } = new AbortController();
    const watch = ops().watch.one(lock("orders/2"), 10, signal);
    expect(await watch.next()).toMatchObject({ value: { lock: { name: "orders/2" } } });
    const next = reason(() => watch.next());
    await settled();
    access.replace(authOf({ ops: [], others: all }), {});
    await node.clock.advance(200);
    expect(await next).toBe("permission-denied");
  });
});

describe("quotas", () => {
  test("bound the tickets of a principal, until they are gone, and those of no other", async () => {
    guard(authOf({ billing: lockOnly, stock: lockOnly }), { billing: { tickets: 2 } });
    const first = await asked("billing", "a");
    const second = await asked("billing", "a");
    const error = await refusal(() => ask("billing", "b"));
    expect([error.reason, error.retryAfterMs]).toEqual(["quota-exceeded", 1_000]);
    await asked("stock", "b");
    second.claim.cancel();
    await settled();
    await asked("billing", "c");
    expect(await reason(() => ask("billing", "d"))).toBe("quota-exceeded");
    await first.claim.release();
    await asked("billing", "d");
    await node.clock.advance(10_000);
    expect(node.store.size).toBe(0);
    await asked("billing", "e f");
    await asked("billing", "g");
    expect(await reason(() => ask("billing", "h"))).toBe("quota-exceeded");
  });

  test("bound those that wait for a lock, however their waits end", async () => {
    guard(authOf({ billing: lockOnly }), { billing: { waitersPerLock: 1 } });
    const holder = await asked("billing", "a");
    const free = async () => {
      const waiter = await asked("billing", "a");
      expect(await reason(() => ask("billing", "a"))).toBe("quota-exceeded");
      await asked("billing", "a", { waitMs: 0 });
      return waiter;
    };
    (await free()).claim.cancel();
    (await free()).claim.detach();
    await asked("billing", "a", { waitMs: 1 });
    await node.clock.advance(1);
    await free();
    await holder.claim.release();
    await settled();
    await free();
  });

  test("bound requests a second and the TTL, and change with the configuration", async () => {
    guard(authOf({ billing: lockOnly }), { billing: { requestsPerSecond: 2, maxTtl: "5s" } });
    const first = await asked("billing", "a");
    expect(first.grant.ttlMs).toBe(5_000);
    expect(await reason(() => ask("billing", "b", { ttlMs: 6_000 }))).toBe("quota-exceeded");
    const error = await refusal(() => ask("billing", "b"));
    expect([error.reason, error.retryAfterMs]).toEqual(["quota-exceeded", 500]);
    await first.claim.renew({});
    access.replace(authOf({ billing: lockOnly }), {});
    expect((await asked("billing", "b", { ttlMs: 6_000 })).grant.ttlMs).toBe(6_000);
  });
});

test("names are compared byte by byte", async () => {
  guard(authOf({ billing: [{ prefix: "%00%FF/", allow: ["lock"] }] }));
  const claim = (...bytes: number[]) => as("billing").locks.claim({ name: Uint8Array.from(bytes) }, new Recorder());
  claim(0, 0xff, 0x2f, 1);
  expect(await reason(() => claim(0, 0xc3, 0xbf, 0x2f, 1))).toBe("permission-denied");
  expect(await reason(() => as("billing").locks.claim({ name: Buffer.from("%00%FF/1") }, new Recorder()))).toBe(
    "permission-denied",
  );
  expect(audited).toMatchObject([{ lock: "%00ÿ/%01" }, { lock: "%2500%25FF/1" }]);
});
