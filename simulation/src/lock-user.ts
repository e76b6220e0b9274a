import { Holding } from "../../packages/meta-client/src/grant.js";
import { isExclusive } from "../../packages/metasrv/src/model/ticket-content.js";
import { ticketIdFrom } from "../../packages/metasrv/src/model/ticket-ref.js";
import { type Belief, type Believer, namesOf } from "./beliefs.js";
import type { AttemptOutcome, ClientCall, ClientGrant, ClientWay } from "./client-way.js";
import type { ClientWorld } from "./client-world.js";
import { forgedKey } from "./forged-key.js";
import { Hold } from "./hold.js";
import type { Random } from "./random.js";
import type { SimulatedNode } from "./simulated-node.js";
import type { ProcessClock, SimulatedProcess } from "./simulated-process.js";
import { drawWish, type Wish } from "./wish.js";

/** The client process that a user belongs to. */
export interface LockUserOptions {
  readonly name: string;
  readonly process: SimulatedProcess;
  readonly way: ClientWay;
  readonly random: Random;
}

const attemptTimeoutMs = 2_000;
const waitSlackMs = 500;

/**
 * Asks for locks one after the other, holds and renews them, moves between nodes, and changes its mind, as clients do.
 */
export class LockUser implements Believer {
  readonly name: string;
  readonly #world: ClientWorld;
  readonly #process: SimulatedProcess;
  readonly #way: ClientWay;
  readonly #random: Random;
  readonly #clock: ProcessClock;
  #node: SimulatedNode;
  #hold: Hold | undefined;
  #requests = 0;
  #wake: () => void = () => undefined;
  /** What it does now, in words; undefined while it is idle. */
  doing: string | undefined;
  asksAs: string | undefined;

  constructor(world: ClientWorld, { name, process, way, random }: LockUserOptions) {
    this.#world = world;
    this.name = name;
    this.#process = process;
    this.#way = way;
    this.#random = random;
    this.#clock = process.createClock();
    this.#node = random.pick(world.nodes);
  }

  get hears(): boolean {
    return this.#way.hears;
  }

  belief(): Belief | undefined {
    const hold = this.#hold;
    return this.#process.alive && hold?.believed() === true ? hold.belief : undefined;
  }

  async live(): Promise<void> {
    const { profile, isCalm } = this.#world;
    while (!isCalm()) {
      await this.#sleep(this.#random.between(0, 2 * profile.thinkMs));
      if (!isCalm()) {
        if (this.#random.chance(profile.restlessness / 5)) {
          this.#way.stir(this.#node);
        }
        await (this.#random.chance(0.05) ? this.#forge() : this.#use());
      }
      this.doing = undefined;
    }
  }

  async #use(): Promise<void> {
    const hold = await this.#ask(drawWish(this.#world.profile, this.#random));
    this.asksAs = undefined;
    if (hold !== undefined) {
      await this.#keep(hold);
      await this.#release(hold);
    }
  }

  /** Asks until a node grants or refuses, as long as the lock is wanted. All attempts have the same ticket id. */
  async #ask(wish: Wish): Promise<Hold | undefined> {
    const { profile, variant } = this.#world;
    const { name, share, others, parts, waitMs, ttlMs, value } = wish;
    const owner = `${this.name}#${++this.#requests}`;
    const knowsId = this.#way.needsIds || this.#random.chance(0.85);
    let ticketId = this.#random.bytes(16);
    const startedAtMs = this.#clock.now();
    this.doing = `waits for ${namesOf(parts)} as ${owner}`;
    this.asksAs = owner;
    for (let attempt = 0; ; attempt++) {
      const leftMs =
        waitMs === undefined ? undefined : Math.max(0, Math.ceil(startedAtMs + waitMs - this.#clock.now()));
      if (variant.freshIds === true) {
        ticketId = this.#random.bytes(16);
      }
      const request: ClientCall = {
        kind: "lock",
        name,
        ticketId: knowsId ? ticketId : undefined,
        attempt: variant.forgetsToCount === true ? 0 : attempt,
        ttlMs,
        waitMs: leftMs,
        owner,
        share,
        others,
        value,
      };
      const sentAtMs = this.#clock.now();
      const askedAtMs = this.#world.invariants.nowMs;
      const giveUpMs = leftMs === undefined ? undefined : leftMs + (leftMs === 0 ? attemptTimeoutMs : waitSlackMs);
      const outcome = await this.#call(request, giveUpMs);
      if (outcome.kind === "granted") {
        const hold = this.#count(outcome.grant, wish, sentAtMs);
        this.#check(hold, knowsId ? ticketId : undefined);
        if (!knowsId || !this.#random.chance(profile.restlessness / 2)) {
          this.#believe(hold);
          return hold;
        }
        // It behaves as if the answer had been lost on the way.
        hold.end();
        this.#way.lose(this.#node);
      } else if (outcome.kind !== "failed") {
        if (outcome.kind === "refused") {
          this.#world.invariants.refused(this.name, parts, askedAtMs);
        }
        return undefined;
      }
      if (!knowsId) {
        return undefined;
      }
      this.#moveOn();
      await this.#sleep(this.#random.between(10, Math.min(1_000, 100 * 2 ** attempt)));
    }
  }

  #count(grant: ClientGrant, { parts }: Wish, sentAtMs: number): Hold {
    const { profile, variant } = this.#world;
    const waitedMs = grant.countsFromMs - sentAtMs;
    const sinceMs = variant.countsFromAnswer === true ? this.#clock.now() : sentAtMs;
    const uncertainMs = variant.trustsLongWaits === true ? 0 : 2 * profile.drift * waitedMs;
    return new Hold(this.#clock, grant, parts, sinceMs + waitedMs - uncertainMs, profile.drift > 0);
  }

  /** Checks that a grant answers what was asked for. */
  #check({ lockKey, belief, floors }: Hold, ticketId: Uint8Array | undefined): void {
    const [first] = belief.parts;
    const isOther = lockKey.name !== first?.name || floors.length !== belief.parts.length;
    if (isOther || (ticketId !== undefined && lockKey.id !== ticketIdFrom(ticketId))) {
      this.#world.invariants.fail("I2", `${this.name} got a grant of ${lockKey.name} that it did not ask for`);
    }
  }

  #believe(hold: Hold): void {
    this.doing = `holds ${namesOf(hold.belief.parts)}`;
    if (hold.believed()) {
      this.#hold = hold;
      this.#world.invariants.believes(this.name, hold.belief, hold.floors);
    }
  }

  /** Keeps the lock for a while and renews it, perhaps at another node. */
  async #keep(hold: Hold): Promise<void> {
    const { profile, isCalm, invariants } = this.#world;
    const renews = this.#random.chance(0.7);
    const untilMs = this.#clock.now() + this.#random.between(0, profile.holdPart * hold.validity.ttlMs);
    let unwatched = false as boolean;
    hold.listen((news) => {
      if (news === "unwatched") {
        unwatched = true;
      } else {
        invariants.lost(
          this.name,
          hold.lockKey,
          typeof news === "object" ? "forced" : news,
          this.#hold === hold && hold.believed(),
        );
      }
      if (this.#hold === hold) {
        this.#wake();
      }
    });
    while (hold.believed() && this.#clock.now() < untilMs && !isCalm()) {
      const leftMs = untilMs - this.#clock.now();
      const pauseMs = (hold.validity.ttlMs / 3) * this.#random.between(0.5, 1.2);
      if (!(renews && unwatched)) {
        await this.#sleep(Math.min(leftMs, renews ? pauseMs : leftMs));
      }
      unwatched = false;
      if (renews && hold.believed() && this.#clock.now() < untilMs) {
        await this.#renew(hold);
      }
    }
  }

  async #renew(hold: Hold): Promise<void> {
    const { profile, nodes, invariants, variant, network } = this.#world;
    const { validity, holding, lockKey } = hold;
    const ttlMs = this.#random.chance(0.8) ? validity.ttlMs : this.#random.pick(profile.ttlsMs);
    const moves = this.#random.chance(profile.roaming);
    let unanswered = false;
    const [first, ...others] = hold.belief.parts;
    if (first !== undefined && isExclusive(first) && profile.shares.length > 1 && this.#random.chance(0.2)) {
      if (others.length === 0) {
        hold.downgrade();
      } else {
        await this.#downgradeSeveral(hold);
      }
    }
    if (others.length > 0 && this.#random.chance(0.3)) {
      holding.value = this.#random.bytes(4);
    }
    validity.ask(ttlMs);
    for (let attempt = 0; attempt < nodes.length && hold.believed(); attempt++) {
      if (moves || attempt > 0) {
        this.#moveOn();
      }
      const reallySentAtMs = network.queue.nowMs;
      const outcome = await this.#call({ kind: "renew", holding, ttlMs }, Math.max(1, hold.leftMs / 3));
      if (outcome.kind === "renewed") {
        invariants.renewed(this.name, lockKey, reallySentAtMs);
        validity.confirm(variant.countsFromAnswer === true ? this.#clock.now() : outcome.sentAtMs, outcome.ttlMs);
        if (unanswered && variant.forgetsAttempts !== true) {
          // An earlier attempt may still arrive, after a later renewal for a longer TTL.
          validity.ask(ttlMs);
          validity.doubt(ttlMs);
        }
        return;
      }
      if (outcome.kind === "error" && outcome.reason === "not-held") {
        hold.end();
        return;
      }
      unanswered ||= outcome.kind !== "failed" || outcome.maybeApplied;
    }
    if (unanswered) {
      validity.doubt(ttlMs);
    } else {
      validity.dismiss();
    }
  }

  /** Asks for what several locks cannot have: to be shared from now on. */
  async #downgradeSeveral({ holding, lockKey, validity }: Hold): Promise<void> {
    const { ttlMs } = validity;
    holding.downgraded = true;
    validity.ask(ttlMs);
    const outcome = await this.#call({ kind: "renew", holding, ttlMs }, attemptTimeoutMs);
    holding.downgraded = false;
    validity.doubt(ttlMs);
    if (outcome.kind === "renewed") {
      this.#world.invariants.fail("I9", `${this.name} was told that ${lockKey.name} is shared, one of several locks`);
    }
  }

  async #release(hold: Hold): Promise<void> {
    const { nodes, invariants } = this.#world;
    hold.end();
    this.#hold = undefined;
    for (let attempt = 0; attempt < 2 * nodes.length && !hold.gone; attempt++) {
      const outcome = await this.#call({ kind: "unlock", holding: hold.holding }, attemptTimeoutMs);
      if (outcome.kind === "unlocked") {
        invariants.unlocked(this.name, hold.lockKey);
      }
      if (outcome.kind === "unlocked" || (outcome.kind === "error" && outcome.reason === "not-held")) {
        return;
      }
      this.#moveOn();
      await this.#sleep(this.#random.between(10, 200));
    }
  }

  /** Tries to unlock or renew with a key that nobody was given. */
  async #forge(): Promise<void> {
    const { invariants } = this.#world;
    const life = this.#random.pick([undefined, ...invariants.history.tickets()]);
    const forged = life === undefined ? undefined : forgedKey(life, this.#random);
    const holding = new Holding(forged?.key ?? this.#random.bytes(40));
    const unlocks = this.#random.chance(0.5);
    const outcome = await this.#call(
      unlocks ? { kind: "unlock", holding } : { kind: "renew", holding, ttlMs: 1_000 },
      attemptTimeoutMs,
    );
    // If an answer was lost before, "released" may also mean that there was nothing to release.
    const effective = outcome.kind === "renewed" || (outcome.kind === "unlocked" && life?.removedAtMs === undefined);
    if (life !== undefined && forged?.id === life.id && effective) {
      invariants.fail("I8", `${this.name} succeeded with a forged key: ${outcome.kind} of ${life.name}`);
    }
  }

  /** Makes one attempt at one node. The connection may break, or the client may give it up, on the way. */
  async #call(call: ClientCall, giveUpMs: number | undefined): Promise<AttemptOutcome> {
    const { profile } = this.#world;
    const attempt = this.#way.call(this.#node, call);
    const timers = [];
    if (giveUpMs !== undefined) {
      timers.push(
        this.#clock.after(giveUpMs, () => {
          attempt.withdraw();
        }),
      );
    }
    if (this.#random.chance(profile.restlessness)) {
      const drops = this.#random.chance(0.6);
      timers.push(
        this.#clock.after(this.#random.between(0, 4 * profile.clientDelayMs + 100), () => {
          attempt[drops ? "drop" : "withdraw"]();
        }),
      );
    }
    const outcome = await attempt.outcome;
    for (const timer of timers) {
      timer.cancel();
    }
    return outcome;
  }

  #moveOn(): void {
    this.#node = this.#random.pick(this.#world.nodes);
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
