import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "@jest/globals";
import { LossReason, Reason, type SessionCommand, SessionEventSchema } from "@metasrv/proto/metasrv/v1";
import { Cancellation } from "./cancellation.js";
import type { Holding, LockNews, LockOutcome } from "./grant.js";
import { EndpointFailure } from "./lock-channel.js";
import { LimitExceededError, LockLostError, UnexpectedError } from "./meta-errors.js";
import { SessionLedger, type SessionLedgerOptions } from "./session-ledger.js";
import { grantEvent, lockRequest } from "./testing/scripted-session.js";

type Event = MessageInitShape<typeof SessionEventSchema>["event"];

const notHeld: Event = {
  case: "failed",
  value: { code: Code.FailedPrecondition, message: "not held", detail: { reason: Reason.NOT_HELD } },
};
const unlocked: Event = { case: "unlocked", value: {} };
const renewed: Event = { case: "renewed", value: { ttlMs: 5_000n } };
const lost = (value: LossReason): Event => ({ case: "lost", value });

/** A ledger, and the server's side of it. */
class Harness {
  readonly ledger: SessionLedger;
  readonly busy: boolean[] = [];
  nowMs = 1_000;

  constructor(options: Partial<SessionLedgerOptions> = {}) {
    this.ledger = new SessionLedger({
      endpoint: "http://a",
      heardAtMs: () => this.nowMs,
      onOutgoing: () => undefined,
      onBusy: (busy) => this.busy.push(busy),
      ...options,
    });
  }

  /** All commands that leave now. */
  sent(): SessionCommand[] {
    const commands: SessionCommand[] = [];
    for (let next = this.ledger.next(this.nowMs); next !== undefined; next = this.ledger.next(this.nowMs)) {
      commands.push(next);
    }
    return commands;
  }

  /** The one command that leaves now. */
  sentOne(): SessionCommand {
    const [command, ...others] = this.sent();
    if (command === undefined || others.length > 0) {
      throw new Error("expected one command");
    }
    return command;
  }

  tell(number: number, event: Event): void {
    this.ledger.handle(create(SessionEventSchema, { number, event: event ?? { case: undefined } }));
  }

  /** A lock that is granted, with its number, and the news that its holder hears. */
  async held(key = Uint8Array.of(7)): Promise<{ holding: Holding; number: number; news: LockNews[] }> {
    const locked = this.ledger.lock(lockRequest("x"), new Cancellation());
    const { number } = this.sentOne();
    this.tell(number, grantEvent({ key }));
    const { holding } = grantOf(await locked);
    const news: LockNews[] = [];
    holding.listen({ hear: (each) => news.push(each) });
    return { holding, number, news };
  }
}

function grantOf(outcome: LockOutcome): Extract<LockOutcome, { kind: "granted" }>["grant"] {
  if (outcome.kind !== "granted") {
    throw new Error("expected a grant");
  }
  return outcome.grant;
}

const failureOf = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error);
const noEnd = new Cancellation();

describe("a command", () => {
  test("is answered by its number, whatever the order", async () => {
    const harness = new Harness();
    const one = harness.ledger.lock(lockRequest("one"), noEnd);
    const other = harness.ledger.lock(lockRequest("other"), noEnd);
    expect(harness.sent().map(({ number }) => number)).toEqual([1, 2]);
    harness.tell(2, { case: "refused", value: { state: { waiters: 3 } } });
    harness.tell(1, grantEvent());
    await expect(other).resolves.toMatchObject({ kind: "refused", state: { waiters: 3 } });
    await expect(one).resolves.toMatchObject({ kind: "granted", grant: { token: 42n } });
  });

  test("counts from when it left, not from when it was asked for", async () => {
    const harness = new Harness();
    const locked = harness.ledger.lock(lockRequest("x"), noEnd);
    harness.nowMs = 1_500;
    const { number } = harness.sentOne();
    harness.nowMs = 9_000;
    harness.tell(number, grantEvent({ waitedMs: 20 }));
    expect(grantOf(await locked).grantedAtMs).toBeCloseTo(1_520, 1);
  });

  test("fails as a call of its own would", async () => {
    const harness = new Harness();
    const error = failureOf(harness.ledger.lock(lockRequest("x"), noEnd));
    const detail = { reason: Reason.TOO_MANY_WAITERS };
    harness.tell(harness.sentOne().number, {
      case: "failed",
      value: { code: Code.ResourceExhausted, message: "too many", detail },
    });
    expect(await error).toBeInstanceOf(LimitExceededError);
    expect(await error).toMatchObject({ message: "too many" });
  });

  test("says so when the answer is none that this client knows", async () => {
    const harness = new Harness();
    const error = failureOf(harness.ledger.lock(lockRequest("x"), noEnd));
    harness.tell(harness.sentOne().number, undefined);
    expect(await error).toBeInstanceOf(UnexpectedError);
    const other = failureOf(harness.ledger.lock(lockRequest("x"), noEnd));
    harness.tell(harness.sentOne().number, { case: "failed", value: { code: 77, message: "new" } });
    expect(await other).toBeInstanceOf(EndpointFailure);
  });

  test("keeps somebody waiting until it is answered", async () => {
    const harness = new Harness();
    const scope = new Cancellation();
    void failureOf(harness.ledger.lock(lockRequest("x"), scope));
    void failureOf(harness.ledger.lock(lockRequest("x"), scope));
    expect(harness.ledger.busy).toBe(true);
    harness.tell(1, grantEvent());
    scope.cancel(new Error("enough"));
    expect(harness.busy).toEqual([true, false]);
    harness.sent();
    await harness.held();
    expect(harness.busy).toEqual([true, false, true, false]);
  });

  test("gets the numbers from 1 again when they are used up, but none that is in use", async () => {
    const harness = new Harness({ lastNumber: 2 ** 32 - 3 });
    const long = await harness.held();
    expect(long.number).toBe(2 ** 32 - 2);
    const numbers: number[] = [];
    for (let count = 0; count < 3; count++) {
      numbers.push((await harness.held()).number);
    }
    expect(numbers).toEqual([2 ** 32 - 1, 1, 2]);
  });
});

describe("a command that is withdrawn", () => {
  test("is not sent when it has not left yet", async () => {
    const harness = new Harness();
    const scope = new Cancellation();
    const error = failureOf(harness.ledger.lock(lockRequest("x"), scope));
    scope.cancel(new Error("enough"));
    expect(await error).toEqual(new Error("enough"));
    expect(harness.sent()).toEqual([]);
    await expect(harness.ledger.lock(lockRequest("x"), scope)).rejects.toThrow("enough");
  });

  test("is taken back when it has left", async () => {
    const harness = new Harness();
    const scope = new Cancellation();
    const error = failureOf(harness.ledger.lock(lockRequest("x"), scope));
    const { number } = harness.sentOne();
    scope.cancel(new Error("enough"));
    expect(await error).toEqual(new Error("enough"));
    expect(harness.sentOne()).toMatchObject({ command: { case: "cancel", value: number } });
  });

  test("is unlocked when its grant crosses the withdrawal", () => {
    const harness = new Harness();
    const scope = new Cancellation();
    void failureOf(harness.ledger.lock(lockRequest("x"), scope));
    const { number } = harness.sentOne();
    scope.cancel(new Error("enough"));
    harness.sentOne();
    harness.tell(number, grantEvent({ key: Uint8Array.of(9) }));
    const unlock = harness.sentOne();
    expect(unlock).toMatchObject({ command: { case: "unlock", value: { lock: 0, key: Uint8Array.of(9) } } });
    harness.tell(unlock.number, unlocked);
    expect(harness.sent()).toEqual([]);
  });

  test("is not taken back when it cannot be: an unlock or a renewal may take effect, and its answer counts", async () => {
    const harness = new Harness();
    const { holding, number } = await harness.held();
    const scope = new Cancellation();
    const error = failureOf(harness.ledger.unlock(holding, scope));
    const unlock = harness.sentOne();
    scope.cancel(new Error("enough"));
    expect(await error).toEqual(new Error("enough"));
    expect(harness.sent()).toEqual([]);
    harness.tell(unlock.number, unlocked);
    expect(holding.servedBy).toBeUndefined();
    harness.tell(number, lost(LossReason.RELEASED));
  });
});

describe("a lock that was granted", () => {
  test("is named by its number as long as the server serves it, then by its key", async () => {
    const harness = new Harness();
    const { holding, number } = await harness.held();
    const renewal = harness.ledger.renew(holding, 5_000, noEnd);
    const first = harness.sentOne();
    expect(first.command).toMatchObject({
      case: "renew",
      value: { lock: number, key: new Uint8Array(), ttlMs: 5_000n },
    });
    harness.nowMs = 4_000;
    harness.tell(first.number, renewed);
    await expect(renewal).resolves.toEqual({ ttlMs: 5_000, sentAtMs: 1_000 });
    harness.tell(number, lost(LossReason.MOVED));
    void harness.ledger.unlock(holding, noEnd);
    expect(harness.sentOne().command).toMatchObject({ case: "unlock", value: { lock: 0, key: holding.key } });
  });

  test("of another session is named by its key, and by the renewal's number from then on", async () => {
    const harness = new Harness();
    const { holding, news } = await new Harness().held();
    const renewal = harness.ledger.renew(holding, 5_000, noEnd);
    const { number, command } = harness.sentOne();
    expect(command).toMatchObject({ case: "renew", value: { lock: 0, key: holding.key } });
    // It must happen at once: news may follow in the same message.
    harness.tell(number, renewed);
    harness.tell(number, lost(LossReason.EXPIRED));
    await renewal;
    expect(news).toEqual(["expired"]);
    const again = harness.ledger.renew(holding, 5_000, noEnd);
    harness.tell(harness.sentOne().number, renewed);
    await again;
    void harness.ledger.unlock(holding, noEnd);
    expect(harness.sentOne().command.value).toMatchObject({ key: new Uint8Array() });
  });

  test.each<[LossReason, LockNews]>([
    [LossReason.EXPIRED, "expired"],
    [LossReason.RELEASED, "released"],
    [LossReason.UNSPECIFIED, "released"],
    [LossReason.MOVED, "unwatched"],
  ])("loss reason %i is heard as %s, once", async (reason, expected) => {
    const harness = new Harness();
    const { number, news } = await harness.held();
    harness.tell(number, lost(reason));
    harness.tell(number, lost(reason));
    expect(news).toEqual([expected]);
  });

  test("is heard of even by those who listen only later", async () => {
    const harness = new Harness();
    const locked = harness.ledger.lock(lockRequest("x"), noEnd);
    const { number } = harness.sentOne();
    harness.tell(number, grantEvent());
    harness.tell(number, lost(LossReason.RELEASED));
    const news: LockNews[] = [];
    grantOf(await locked).holding.listen({ hear: (each) => news.push(each) });
    expect(news).toEqual(["released"]);
  });

  test("is not heard of after it was unlocked", async () => {
    const harness = new Harness();
    const { holding, number, news } = await harness.held();
    const released = harness.ledger.unlock(holding, noEnd);
    harness.tell(harness.sentOne().number, unlocked);
    await released;
    harness.tell(number, lost(LossReason.RELEASED));
    expect(news).toEqual([]);
  });

  test("frees its number when the server says that it does not hold", async () => {
    const harness = new Harness();
    const { holding } = await harness.held();
    const error = failureOf(harness.ledger.unlock(holding, noEnd));
    harness.tell(harness.sentOne().number, notHeld);
    expect(await error).toBeInstanceOf(LockLostError);
    expect(holding.servedBy).toBeUndefined();
  });

  test.each(["unlock", "renew"] as const)(
    "whose %s crosses the news that it has moved is named again, by its key",
    async (kind) => {
      const harness = new Harness();
      const { holding, number, news } = await harness.held();
      const settled =
        kind === "unlock" ? harness.ledger.unlock(holding, noEnd) : harness.ledger.renew(holding, 5_000, noEnd);
      const first = harness.sentOne();
      harness.tell(number, lost(LossReason.MOVED));
      harness.tell(first.number, notHeld);
      const second = harness.sentOne();
      expect(second.command).toMatchObject({ case: kind, value: { lock: 0, key: holding.key } });
      harness.tell(second.number, kind === "unlock" ? unlocked : renewed);
      await settled;
      expect(news).toEqual(["unwatched"]);
    },
  );

  test.each([
    ["does not expire when its time has passed by the clock here", LossReason.EXPIRED, []],
    ["is released when it was released here", LossReason.RELEASED, ["released"]],
  ])("that is served elsewhere %s", async (_what, reason, told) => {
    const [here, there] = [new Harness(), new Harness()];
    const { holding, number, news } = await here.held();
    const renewal = there.ledger.renew(holding, 5_000, noEnd);
    there.tell(there.sentOne().number, renewed);
    await renewal;
    here.tell(number, lost(reason));
    expect(news).toEqual(told);
  });

  test("that is served elsewhere is not unwatched because this session serves it no more", async () => {
    const [here, there] = [new Harness(), new Harness()];
    const { holding, number, news } = await here.held();
    const renewal = there.ledger.renew(holding, 5_000, noEnd);
    there.tell(there.sentOne().number, renewed);
    await renewal;
    here.tell(number, lost(LossReason.MOVED));
    expect(news).toEqual([]);
    there.ledger.end("connection lost", undefined);
    expect(news).toEqual(["unwatched"]);
  });
});

describe("the end of a session", () => {
  test("rejects what is pending, and says what may have arrived", async () => {
    const harness = new Harness();
    const sent = failureOf(harness.ledger.lock(lockRequest("x"), noEnd));
    harness.sentOne();
    const waiting = failureOf(harness.ledger.lock(lockRequest("x"), noEnd));
    const cause = new Error("reset");
    harness.ledger.end("connection lost", cause);
    const later = failureOf(harness.ledger.lock(lockRequest("x"), noEnd));
    for (const error of [sent, waiting, later]) {
      expect(await error).toBeInstanceOf(EndpointFailure);
    }
    expect(await sent).toMatchObject({ message: "connection lost", maybeApplied: true, heardAtMs: 1_000, cause });
    expect(await waiting).toMatchObject({ maybeApplied: false, heardAtMs: undefined });
    expect(await later).toMatchObject({ maybeApplied: false });
    expect(harness.sent()).toEqual([]);
    expect(harness.busy).toEqual([true, false]);
  });

  test("leaves every lock unwatched that was served", async () => {
    const harness = new Harness();
    const [one, other] = [await harness.held(), await harness.held()];
    harness.ledger.end("connection lost", undefined);
    harness.ledger.end("again", undefined);
    expect([one.news, other.news]).toEqual([["unwatched"], ["unwatched"]]);
    expect(one.holding.servedBy).toBeUndefined();
  });
});
