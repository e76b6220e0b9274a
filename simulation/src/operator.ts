import type { LockName } from "../../packages/metasrv/src/model/ticket-ref.js";
import type { ClientWorld } from "./client-world.js";
import type { TicketLife } from "./history.js";
import type { CallOutcome } from "./network.js";
import type { Random } from "./random.js";
import { type ProcessClock, SimulatedProcess } from "./simulated-process.js";

/** What an operator wants to be removed. */
interface Target {
  readonly name: LockName;
  readonly token: bigint;
}

/**
 * Releases locks by force now and then, as people do who look at a list that may be old: the ticket may be gone by then, and
 * the lock another's. Its machine does not fail.
 */
export class Operator {
  readonly #world: ClientWorld;
  readonly #random: Random;
  readonly #process: SimulatedProcess;
  readonly #clock: ProcessClock;
  #busy = false;

  constructor(world: ClientWorld, random: Random) {
    this.#world = world;
    this.#random = random;
    this.#process = new SimulatedProcess(world.network.queue, random.fork(), "operator", 1);
    this.#clock = this.#process.createClock();
  }

  /** Whether it waits for an answer. */
  get busy(): boolean {
    return this.#busy;
  }

  start(): void {
    if (this.#world.profile.forceEveryMs > 0) {
      void this.#live();
    }
  }

  async #live(): Promise<void> {
    const { profile, isCalm } = this.#world;
    while (!isCalm()) {
      await this.#sleep(this.#random.between(0, 2 * profile.forceEveryMs));
      const target = isCalm() ? undefined : this.#target();
      if (target !== undefined) {
        this.#busy = true;
        await this.#force(target);
        this.#busy = false;
      }
    }
  }

  async #force({ name, token }: Target): Promise<void> {
    const { network, nodes, invariants } = this.#world;
    const dryRun = this.#random.chance(0.1);
    if (!dryRun) {
      invariants.forcing(name, token);
    }
    const askedAtMs = invariants.nowMs;
    const node = this.#random.pick(nodes);
    const call = network.call(this.#process, "operator", node, { kind: "force", name, token, dryRun });
    const outcome: CallOutcome = await call.outcome;
    if (outcome.kind === "error" && outcome.error.reason === "not-held") {
      invariants.forced(name, token, false, askedAtMs);
    } else if (outcome.kind === "forced" && !dryRun) {
      invariants.forced(name, token, true, askedAtMs);
    }
  }

  /** One that is there, or was, or was never. */
  #target(): Target | undefined {
    const { history } = this.#world.invariants;
    const lives = this.#random.chance(0.85) ? history.tickets() : history.gone;
    if (lives.length === 0) {
      return undefined;
    }
    const life = this.#random.pick(lives);
    const { name } = this.#random.pick(life.parts);
    return { name, token: this.#random.chance(0.75) ? life.token : this.#otherToken(name, life) };
  }

  /** A token that is not the ticket's, and perhaps nobody's. */
  #otherToken(name: LockName, { token }: TicketLife): bigint {
    const { history } = this.#world.invariants;
    const before = history.gone.filter(({ parts }) => parts.some((part) => part.name === name));
    return this.#random.pick([token - 1n, token + 1n, ...before.map((life) => life.token)]);
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.after(ms, resolve);
    });
  }
}
