import { marginMs } from "../../packages/meta-client/src/grant.js";
import type { HeldLock, HeldLocks, RenewOutcome } from "../../packages/meta-client/src/held-lock.js";
import type { LockPart } from "../../packages/meta-client/src/lock-arguments.js";
import type { LockHandle } from "../../packages/meta-client/src/lock-handle.js";
import {
  ClosedError,
  InvalidArgumentError,
  LimitExceededError,
  LockLostError,
  UnavailableError,
  UnexpectedError,
  WaitTimeoutError,
} from "../../packages/meta-client/src/meta-errors.js";
import { isExclusive, isShared, shared } from "../../packages/metasrv/src/model/ticket-content.js";
import { checkKey } from "../../packages/metasrv/src/node/admission.js";
import { type Belief, type BelievedPart, type Believer, namesOf } from "./beliefs.js";
import type { ClientWorld } from "./client-world.js";
import { forgedKey } from "./forged-key.js";
import type { NodeRequest } from "./node-service.js";
import type { Random } from "./random.js";
import type { ClientLife } from "./simulated-client.js";
import type { ProcessClock } from "./simulated-process.js";
import { drawWish, type Wish } from "./wish.js";

/** Whose user it is. */
export interface LockUserOptions {
  readonly name: string;
  readonly life: ClientLife;
  readonly random: Random;
}

/** The reason with which a user ends its own requests. */
const changedMind = new Error("the user changed its mind");

const longestName = 1024;

/** What a user holds, as its handle tells it. */
interface UserHold {
  readonly handle: LockHandle;
  /** What it holds of each lock. A downgrade changes it. */
  parts: readonly BelievedPart[];
  /** Set once the user gives it back, or its signal has aborted. */
  over: boolean;
}

/** Asks for locks one after the other, holds and renews them, and changes its mind, as users of the client do. */
export class LockUser implements Believer {
  readonly name: string;
  readonly #world: ClientWorld;
  readonly #life: ClientLife;
  readonly #random: Random;
  readonly #clock: ProcessClock;
  #hold: UserHold | undefined;
  #requests = 0;
  #wake: () => void = () => undefined;
  /** What it does now, in words; undefined while it is idle. */
  doing: string | undefined;
  asksAs: string | undefined;

  constructor(world: ClientWorld, { name, life, random }: LockUserOptions) {
    this.#world = world;
    this.name = name;
    this.#life = life;
    this.#random = random;
    this.#clock = life.process.createClock();
  }

  get hears(): boolean {
    return this.#life.hasSessions;
  }

  belief(): Belief | undefined {
    const hold = this.#hold;
    if (hold === undefined || hold.over || !this.#life.process.alive) {
      return undefined;
    }
    // Looking at `held` would tell the client of the time. It must find out by itself.
    const { handle, parts } = hold;
    const keptMs = this.#world.profile.drift > 0 ? marginMs(handle.ttlMs) : 0;
    return this.#life.now() < handle.expiresAtMs - keptMs ? { token: handle.token, parts } : undefined;
  }

  async live(): Promise<void> {
    const { profile, isCalm } = this.#world;
    while (!isCalm()) {
      await this.#sleep(this.#random.between(0, 2 * profile.thinkMs));
      if (!isCalm()) {
        if (this.#random.chance(profile.restlessness / 5)) {
          this.#life.tear();
        }
        if (this.#random.chance(profile.fickleness / 5)) {
          this.#life.renew();
        }
        await (this.#random.chance(0.05) ? this.#forge() : this.#use());
      }
      this.doing = undefined;
    }
  }

  async #use(): Promise<void> {
    const wish = drawWish(this.#world.profile, this.#random);
    const handle = await this.#ask(wish);
    this.asksAs = undefined;
    if (handle !== undefined) {
      const hold = this.#begin(handle, wish);
      await this.#keep(hold, wish);
      await this.#release(hold);
      this.#hold = undefined;
    }
    if (this.hears) {
      this.#world.invariants.unwanted(`${this.name}#${this.#requests}`);
    }
  }

  async #ask(wish: Wish): Promise<LockHandle | undefined> {
    const { profile, invariants } = this.#world;
    const owner = `${this.name}#${++this.#requests}`;
    this.doing = `waits for ${namesOf(wish.parts)} as ${owner}`;
    this.asksAs = owner;
    const askedAtMs = invariants.nowMs;
    const abort = new AbortController();
    const timer = this.#random.chance(profile.fickleness)
      ? this.#clock.after(this.#random.between(0, 4 * profile.clientDelayMs + 100), () => {
          abort.abort(changedMind);
        })
      : undefined;
    try {
      const handle = await this.#acquire(wish, owner, abort.signal);
      if (handle === null) {
        invariants.refused(this.name, wish.parts, askedAtMs);
        return undefined;
      }
      this.#check(handle, wish, owner);
      return handle;
    } catch (error) {
      this.#failed(error);
      return undefined;
    } finally {
      timer?.cancel();
    }
  }

  async #acquire(wish: Wish, owner: string, signal: AbortSignal): Promise<LockHandle | null> {
    const { client } = this.#life;
    const { name, share, others, ttlMs } = wish;
    const waitMs = wish.waitMs === undefined ? undefined : Math.ceil(wish.waitMs);
    const options = { ttlMs, owner, signal, keepAlive: wish.keepAlive };
    const all: readonly LockPart[] = [{ name, share }, ...others].map((part) => ({
      name: part.name,
      ...(isExclusive(part.share) ? {} : isShared(part.share) ? { mode: "shared" as const } : part.share),
    }));
    let asked: Promise<HeldLock | HeldLocks | null>;
    if (others.length > 0) {
      asked = waitMs === 0 ? client.tryLockAll(all, options) : client.lockAll(all, { ...options, waitMs });
    } else if (isExclusive(share) || isShared(share)) {
      const mode = isShared(share) ? ("shared" as const) : undefined;
      asked =
        waitMs === 0 ? client.tryLock(name, { ...options, mode }) : client.lock(name, { ...options, mode, waitMs });
    } else {
      const { permits, limit } = share;
      const semaphore = client.semaphore(name, { limit });
      asked =
        waitMs === 0
          ? semaphore.tryAcquire({ ...options, permits })
          : semaphore.acquire({ ...options, permits, waitMs });
    }
    return (await asked) as LockHandle | null;
  }

  /** Checks that a grant answers what was asked for. */
  #check({ key, token, names }: LockHandle, { parts }: Wish, owner: string): void {
    const { invariants } = this.#world;
    const lockKey = checkKey(key, longestName);
    const life = invariants.history.life(lockKey.name, token);
    if (lockKey.name !== parts[0]?.name || names.length !== parts.length || life?.owner !== owner) {
      invariants.fail("I2", `${this.name} got a grant of ${lockKey.name} that it did not ask for`);
    }
  }

  #begin(handle: LockHandle, { parts }: Wish): UserHold {
    const { invariants } = this.#world;
    this.doing = `holds ${namesOf(parts)}`;
    const hold: UserHold = { handle, parts, over: !handle.held };
    this.#hold = hold;
    const belief = this.belief();
    if (belief !== undefined) {
      const { names } = handle;
      const floors = names.length === 1 ? [handle.floor] : names.map((name) => handle.floorOf(name));
      invariants.believes(this.name, belief, floors);
    }
    handle.signal.addEventListener("abort", () => {
      this.#lost(hold);
    });
    return hold;
  }

  /** The signal has aborted. */
  #lost(hold: UserHold): void {
    const { invariants } = this.#world;
    const { handle } = hold;
    const { forced, message } = handle.signal.reason as LockLostError;
    const believed = this.#hold === hold && this.belief() !== undefined;
    hold.over = true;
    if (forced !== undefined) {
      invariants.lost(this.name, checkKey(handle.key, longestName), "forced", believed);
    } else if (message.includes("at the server")) {
      invariants.lost(this.name, checkKey(handle.key, longestName), "expired", believed);
    } else if (message.includes("somebody else")) {
      invariants.lost(this.name, checkKey(handle.key, longestName), "released", believed);
    }
    this.#wake();
  }

  /** Holds the lock for a while, and does with it what users do. */
  async #keep(hold: UserHold, { keepAlive }: Wish): Promise<void> {
    const { profile, isCalm } = this.#world;
    const { handle } = hold;
    const untilMs = this.#clock.now() + this.#random.between(0, profile.holdPart * handle.ttlMs);
    while (handle.held && this.#clock.now() < untilMs && !isCalm()) {
      const leftMs = untilMs - this.#clock.now();
      const pauseMs = (handle.ttlMs / 3) * this.#random.between(0.5, 1.2);
      await this.#sleep(keepAlive ? Math.min(leftMs, pauseMs) : leftMs);
      this.#look(hold);
      if (keepAlive && handle.remainingMs > 0 && this.#clock.now() < untilMs) {
        await this.#renew(hold).catch((error: unknown) => {
          this.#failed(error);
        });
        this.#look(hold);
      }
    }
  }

  /** Whoever sees `held` may rely on it. */
  #look({ handle, over }: UserHold): void {
    const { history } = this.#world.invariants;
    const { name } = checkKey(handle.key, longestName);
    const life = history.life(name, handle.token);
    if (!over && handle.held && life?.removedAtMs !== undefined && !life.forced) {
      this.#world.invariants.fail("I4", `${this.name} sees that ${name} is held by ${handle.token}, which is gone`);
    }
  }

  async #renew(hold: UserHold): Promise<void> {
    const { profile, invariants } = this.#world;
    const { handle } = hold;
    if (this.#random.chance(profile.restlessness / 3)) {
      this.#life.tear();
    }
    const askedAtMs = invariants.nowMs;
    const [first, ...others] = hold.parts;
    let outcome: RenewOutcome;
    if (others.length > 0 && this.#random.chance(0.3)) {
      outcome = await handle.publish(this.#random.bytes(4));
    } else if (others.length === 0 && first !== undefined && isExclusive(first) && this.#downgrades()) {
      hold.parts = [{ name: first.name, ...shared }];
      outcome = await handle.downgrade();
    } else {
      outcome = await handle.renew(this.#random.chance(0.8) ? undefined : this.#random.pick(profile.ttlsMs));
    }
    if (outcome === "renewed") {
      invariants.renewed(this.name, checkKey(handle.key, longestName), askedAtMs);
    }
  }

  #downgrades(): boolean {
    return this.#world.profile.shares.length > 1 && this.#random.chance(0.2);
  }

  async #release(hold: UserHold): Promise<void> {
    const { handle } = hold;
    // Whether the server holds it until it is told.
    const ends = !hold.over;
    hold.over = true;
    this.doing = `releases ${namesOf(hold.parts)}`;
    try {
      await handle.release();
      if (ends && !handle.signal.aborted && this.#life.now() < handle.expiresAtMs) {
        this.#world.invariants.unlocked(this.name, checkKey(handle.key, longestName));
      }
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Tries to unlock or renew with a key that nobody was given. */
  async #forge(): Promise<void> {
    const { invariants, network, nodes } = this.#world;
    this.doing = "forges a key";
    const life = this.#random.pick([undefined, ...invariants.history.tickets()]);
    const forged = life === undefined ? undefined : forgedKey(life, this.#random);
    const key = forged?.key ?? this.#random.bytes(40);
    if (this.#random.chance(0.3)) {
      // Where an answer was lost, it takes "not held" for its own doing. If it was, whoever held it believes in vain.
      await this.#life.client.unlock({ key }).catch((error: unknown) => {
        this.#failed(error, InvalidArgumentError);
      });
      return;
    }
    const request: NodeRequest = this.#random.chance(0.5)
      ? { kind: "unlock", key }
      : { kind: "renew", key, ttlMs: 1_000, downgrade: false, value: undefined };
    const { kind } = await network.call(this.#life.process, this.#life.name, this.#random.pick(nodes), request).outcome;
    if (life !== undefined && forged?.id === life.id && (kind === "renewed" || kind === "unlocked")) {
      invariants.fail("I8", `${this.name} succeeded with a forged key: ${life.name} is ${kind}`);
    }
  }

  /** A call failed. Only what its documentation names, and what this run may bring, is right. */
  #failed(error: unknown, expected?: typeof InvalidArgumentError): void {
    const isRight =
      error === changedMind ||
      (expected !== undefined && error instanceof expected) ||
      rightErrors.some((kind) => error instanceof kind) ||
      (error instanceof UnexpectedError && /upgrade/i.test(error.message));
    if (!isRight) {
      const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#world.invariants.fail("code", `a call of ${this.name} failed: ${what}`);
    }
  }

  /** Ends early when {@link #wake} is called. */
  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(ms, resolve);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}

const rightErrors = [WaitTimeoutError, UnavailableError, LockLostError, LimitExceededError, ClosedError];
