import type { Grant } from "../../packages/metasrv/src/locks/claim.js";
import type { LockName } from "../../packages/metasrv/src/log/ticket-log.js";
import { forgedKey } from "./forged-key.js";
import { Hold } from "./hold.js";
import type { Believer, Invariants } from "./invariants.js";
import type { Call, CallOutcome, Network } from "./network.js";
import type { NodeRequest } from "./node-service.js";
import type { Profile } from "./profile.js";
import type { Random } from "./random.js";
import type { SimulatedNode } from "./simulated-node.js";
import { type ProcessClock, SimulatedProcess } from "./simulated-process.js";

/** Where a client can be made wrong on purpose. */
export interface ClientVariant {
  /** Every attempt of a request is a new ticket. */
  readonly freshIds?: boolean;
  /** Every attempt of a request says that it is the first. */
  readonly forgetsToCount?: boolean;
  /** Validity counts from the answer. */
  readonly countsFromAnswer?: boolean;
  /** A wait is believed to have lasted as long as the node says, however wrong its clock may be after a long one. */
  readonly trustsLongWaits?: boolean;
  /** A renewal that was answered makes up for attempts at it that were not, although they may still arrive. */
  readonly forgetsAttempts?: boolean;
}

/** What all clients share. */
export interface ClientWorld {
  readonly network: Network;
  readonly invariants: Invariants;
  readonly profile: Profile;
  readonly random: Random;
  readonly nodes: readonly SimulatedNode[];
  readonly variant: ClientVariant;
  /** Nothing fails any more, and nothing new is to be started. */
  readonly isCalm: () => boolean;
}

const attemptTimeoutMs = 2_000;
const waitSlackMs = 500;

/** A client that asks for locks, holds, renews, moves between nodes, changes its mind and dies, as real ones do. */
export class SimulatedClient implements Believer {
  readonly name: string;
  readonly #world: ClientWorld;
  readonly #random: Random;
  #process: SimulatedProcess;
  #clock: ProcessClock;
  #node: SimulatedNode;
  #hold: Hold | undefined;
  #lives = 0;
  #requests = 0;
  /** What it waits for now; undefined when it is idle. */
  doing: string | undefined;

  constructor(world: ClientWorld, name: string) {
    this.#world = world;
    this.name = name;
    this.#random = world.random.fork();
    this.#process = this.#newProcess();
    this.#clock = this.#process.createClock();
    this.#node = this.#random.pick(world.nodes);
  }

  get process(): SimulatedProcess {
    return this.#process;
  }

  belief(): { readonly name: LockName; readonly token: bigint } | undefined {
    return this.#process.alive && this.#hold?.believed() === true ? this.#hold.lockKey : undefined;
  }

  start(): void {
    void this.#live();
  }

  /** The process is killed; another one starts from nothing. */
  crash(): void {
    this.#process.kill();
    this.#world.network.died(this.#process);
    this.#hold = undefined;
    this.doing = undefined;
    this.#process = this.#newProcess();
    this.#clock = this.#process.createClock();
    this.#process.arrive(this.#random.between(10, 2_000), "starts again", () => {
      this.start();
    });
  }

  #newProcess(): SimulatedProcess {
    const { network, profile } = this.#world;
    const rate = 1 + this.#random.between(-profile.drift, profile.drift);
    return new SimulatedProcess(network.queue, this.#random.fork(), `${this.name}.${++this.#lives}`, rate);
  }

  async #live(): Promise<void> {
    const { profile, isCalm } = this.#world;
    while (!isCalm()) {
      await this.#sleep(this.#random.between(0, 2 * profile.thinkMs));
      if (!isCalm()) {
        await (this.#random.chance(0.05) ? this.#forge() : this.#use());
      }
      this.doing = undefined;
    }
  }

  async #use(): Promise<void> {
    const hold = await this.#ask();
    if (hold !== undefined) {
      await this.#keep(hold);
      await this.#release(hold);
    }
  }

  /** Asks until a node grants or refuses, with one ticket id for all attempts, as long as it is wanted. */
  async #ask(): Promise<Hold | undefined> {
    const { profile, variant } = this.#world;
    const name = Buffer.from(this.#random.pick(profile.names));
    const waitMs = this.#random.pick([undefined, undefined, undefined, 0, this.#random.between(10, 3_000)]);
    const ttlMs = this.#random.pick(profile.ttlsMs);
    const owner = `${this.#process.name}#${++this.#requests}`;
    const knowsId = this.#random.chance(0.85);
    let ticketId = this.#random.bytes(16);
    const startedAtMs = this.#clock.now();
    this.doing = `waits for ${name.toString()} as ${owner}`;
    for (let attempt = 0; ; attempt++) {
      const leftMs =
        waitMs === undefined ? undefined : Math.max(0, Math.ceil(startedAtMs + waitMs - this.#clock.now()));
      if (variant.freshIds === true) {
        ticketId = this.#random.bytes(16);
      }
      const request: NodeRequest = {
        kind: "lock",
        name,
        ticketId: knowsId ? ticketId : undefined,
        attempt: variant.forgetsToCount === true ? 0 : attempt,
        ttlMs,
        waitMs: leftMs,
        owner,
      };
      const sentAtMs = this.#clock.now();
      const giveUpMs = leftMs === undefined ? undefined : leftMs + (leftMs === 0 ? attemptTimeoutMs : waitSlackMs);
      const outcome = await this.#call(request, giveUpMs);
      if (outcome.kind === "granted") {
        if (!knowsId || !this.#random.chance(this.#world.profile.restlessness / 2)) {
          return this.#believe(outcome.grant, sentAtMs);
        }
        // As if the answer had been lost on the way.
      } else if (outcome.kind !== "disconnected" && !(outcome.kind === "error" && isWorthAsking(outcome.reason))) {
        return undefined;
      }
      if (!knowsId) {
        return undefined;
      }
      this.#moveOn();
      await this.#sleep(this.#random.between(10, Math.min(1_000, 100 * 2 ** attempt)));
    }
  }

  #believe(grant: Grant, sentAtMs: number): Hold | undefined {
    const { invariants, profile, variant } = this.#world;
    const sinceMs = variant.countsFromAnswer === true ? this.#clock.now() : sentAtMs;
    const uncertainMs = variant.trustsLongWaits === true ? 0 : 2 * profile.drift * grant.waitedMs;
    const hold = new Hold(this.#clock, grant, sinceMs + grant.waitedMs - uncertainMs, profile.drift > 0);
    this.doing = `holds ${hold.lockKey.name}`;
    if (hold.believed()) {
      this.#hold = hold;
      invariants.believes(this.name, hold.lockKey);
    }
    return hold;
  }

  /** Keeps the lock for a while, renewing it, perhaps at another node. */
  async #keep(hold: Hold): Promise<void> {
    const { profile, isCalm } = this.#world;
    const renews = this.#random.chance(0.7);
    const untilMs = this.#clock.now() + this.#random.between(0, profile.holdPart * hold.validity.ttlMs);
    while (hold.believed() && this.#clock.now() < untilMs && !isCalm()) {
      const leftMs = untilMs - this.#clock.now();
      await this.#sleep(Math.min(leftMs, renews ? (hold.validity.ttlMs / 3) * this.#random.between(0.5, 1.2) : leftMs));
      if (renews && hold.believed() && this.#clock.now() < untilMs) {
        await this.#renew(hold);
      }
    }
  }

  async #renew(hold: Hold): Promise<void> {
    const { profile, nodes, invariants, variant, network } = this.#world;
    const ttlMs = this.#random.chance(0.8) ? hold.validity.ttlMs : this.#random.pick(profile.ttlsMs);
    const moves = this.#random.chance(profile.roaming);
    hold.validity.ask(ttlMs);
    for (let attempt = 0; attempt < nodes.length && hold.believed(); attempt++) {
      if (moves || attempt > 0) {
        this.#moveOn();
      }
      const sentAtMs = this.#clock.now();
      const reallySentAtMs = network.queue.nowMs;
      const outcome = await this.#call({ kind: "renew", key: hold.key, ttlMs }, Math.max(1, hold.leftMs / 3));
      if (outcome.kind === "renewed") {
        invariants.renewed(this.name, hold.lockKey, reallySentAtMs);
        hold.validity.confirm(variant.countsFromAnswer === true ? this.#clock.now() : sentAtMs, outcome.ttlMs);
        if (attempt > 0 && variant.forgetsAttempts !== true) {
          // An attempt before may still arrive, after a later renewal for a longer TTL.
          hold.validity.ask(ttlMs);
          hold.validity.doubt(ttlMs);
        }
        return;
      }
      if (outcome.kind === "error" && outcome.reason === "not-held") {
        hold.end();
        return;
      }
    }
    hold.validity.doubt(ttlMs);
  }

  async #release(hold: Hold): Promise<void> {
    const { nodes, invariants } = this.#world;
    hold.end();
    this.#hold = undefined;
    for (let attempt = 0; attempt < 2 * nodes.length; attempt++) {
      const outcome = await this.#call({ kind: "unlock", key: hold.key }, attemptTimeoutMs);
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
    const key = forged?.key ?? this.#random.bytes(40);
    const unlocks = this.#random.chance(0.5);
    const request: NodeRequest = unlocks ? { kind: "unlock", key } : { kind: "renew", key, ttlMs: 1_000 };
    const outcome = await this.#call(request, attemptTimeoutMs);
    // After an answer was lost, "released" may also mean that there is nothing to release.
    const effective = outcome.kind === "renewed" || (outcome.kind === "unlocked" && life?.removedAtMs === undefined);
    if (life !== undefined && forged?.id === life.id && effective) {
      invariants.fail("I8", `${this.name} succeeded with a forged key: ${outcome.kind} of ${life.name}`);
    }
  }

  /** One attempt at one node; it may be dropped or given up on the way. */
  async #call(request: NodeRequest, giveUpMs: number | undefined): Promise<CallOutcome> {
    const { network, profile } = this.#world;
    const call: Call = network.call(this.#process, this.name, this.#node, request);
    const timers = [];
    if (giveUpMs !== undefined) {
      timers.push(
        this.#clock.after(giveUpMs, () => {
          call.withdraw();
        }),
      );
    }
    if (this.#random.chance(profile.restlessness)) {
      const drops = this.#random.chance(0.6);
      timers.push(
        this.#clock.after(this.#random.between(0, 4 * profile.clientDelayMs + 100), () => {
          call[drops ? "drop" : "withdraw"]();
        }),
      );
    }
    const outcome = await call.outcome;
    for (const timer of timers) {
      timer.cancel();
    }
    return outcome;
  }

  #moveOn(): void {
    this.#node = this.#random.pick(this.#world.nodes);
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.after(ms, resolve);
    });
  }
}

/** Whether another node, or the same one later, may answer otherwise. */
function isWorthAsking(reason: string): boolean {
  return ["store-unavailable", "shutting-down", "not-a-member", "superseded", "canceled"].includes(reason);
}
