import type { ClientVariant } from "./client-world.js";
import { EventQueue } from "./event-queue.js";
import { Faults } from "./faults.js";
import { type InvariantError, Invariants } from "./invariants.js";
import { Network } from "./network.js";
import { Operator } from "./operator.js";
import { withOwnGlobals } from "./own-globals.js";
import { drawProfile, isPeaceful, type Profile } from "./profile.js";
import { Random } from "./random.js";
import { SimulatedClient } from "./simulated-client.js";
import { type NodeRun, type NodeVariant, SimulatedNode } from "./simulated-node.js";
import { SimulatedStore } from "./store/simulated-store.js";
import { StoreCluster } from "./store/store-cluster.js";
import { Trace } from "./trace.js";

/** What is wrong on purpose, so that a test sees that it is found. */
export interface Variant {
  readonly node?: NodeVariant;
  readonly client?: ClientVariant;
  /** The kind of run in which it shows, if it does not show in most runs. */
  readonly profile?: Partial<Profile>;
}

export interface SimulationOptions {
  readonly seed: number;
  /** How many events happen before everything is calmed down. */
  readonly steps: number;
  readonly variant?: Variant;
  /** How many of the last lines of the trace a violation is reported with. */
  readonly tailLines?: number;
}

/** The result of a run. */
export interface SimulationResult {
  readonly seed: number;
  readonly steps: number;
  readonly simulatedMs: number;
  readonly grants: number;
  /** The same for two runs in which the same happened. */
  readonly hash: string;
}

/** A run in which an invariant did not hold. */
export class SimulationError extends Error {
  override readonly name = "SimulationError";
  readonly seed: number;
  readonly step: number;
  readonly violation: InvariantError;

  constructor(seed: number, step: number, violation: InvariantError, profile: Profile, tail: readonly string[]) {
    super(
      [
        `seed ${seed}, step ${step}: ${violation.message}`,
        `profile: ${JSON.stringify(profile)}`,
        "what happened last:",
        ...tail,
      ].join("\n"),
      { cause: violation },
    );
    this.seed = seed;
    this.step = step;
    this.violation = violation;
  }
}

/**
 * How long after everything was calmed down every wait must be over and nothing must be left, in simulated
 * milliseconds.
 */
const calmMs = 120_000;
const defaultTailLines = 80;

/**
 * One run: `steps` events with faults, then calm until nothing is left to do.
 *
 * @throws SimulationError when an invariant does not hold
 */
export async function simulate({
  seed,
  steps,
  variant = {},
  tailLines = defaultTailLines,
}: SimulationOptions): Promise<SimulationResult> {
  const simulation = new Simulation(seed, variant, tailLines);
  return withOwnGlobals(
    simulation.random.fork(),
    (reason) => {
      simulation.rejected(reason);
    },
    () => simulation.run(steps),
  );
}

class Simulation {
  readonly random: Random;
  readonly queue = new EventQueue();
  readonly #seed: number;
  readonly #tailLines: number;
  readonly #trace = new Trace(() => this.queue.nowMs);
  readonly #profile: Profile;
  readonly #invariants: Invariants;
  readonly #nodes: readonly SimulatedNode[];
  readonly #clients: readonly SimulatedClient[];
  readonly #operator: Operator;
  readonly #faults: Faults;
  #steps = 0;
  #calmSinceMs: number | undefined;

  constructor(seed: number, variant: Variant, tailLines: number) {
    this.#seed = seed;
    this.#tailLines = tailLines;
    const random = (this.random = new Random(seed));
    const profile = (this.#profile = { ...drawProfile(random.fork()), ...variant.profile });
    const { queue } = this;
    const trace = this.#trace;
    const invariants = (this.#invariants = new Invariants(
      trace,
      () => queue.nowMs,
      () => this.#clients.flatMap(({ users }) => users),
      isPeaceful(profile) ? { delayMs: 60 * profile.clientDelayMs } : undefined,
    ));
    const store = new SimulatedStore(BigInt(random.int(1_000)));
    const rate = 1 + random.between(-profile.drift, profile.drift);
    const cluster = new StoreCluster(store, queue, random.fork(), trace, rate);
    const linkFaults = { loss: 0, late: 0, doubled: 0 };
    const nodeWorld = {
      queue,
      trace,
      random: random.fork(),
      cluster,
      profile,
      linkFaults,
      variant: variant.node ?? {},
      invariants: () => invariants,
    };
    const nodes = (this.#nodes = numbered(profile.nodes, (n) => new SimulatedNode(nodeWorld, `node${n}`)));
    const network = new Network(queue, random.fork(), invariants, profile.clientDelayMs);
    const clientWorld = {
      network,
      invariants,
      profile,
      random: random.fork(),
      nodes,
      variant: variant.client ?? {},
      isCalm: () => this.#calmSinceMs !== undefined,
    };
    this.#clients = numbered(
      profile.clients,
      (n) => new SimulatedClient(clientWorld, `client${n}`, n > profile.clients * (1 - profile.sessions)),
    );
    const targets = { queue, trace, random: random.fork(), profile, network, cluster, linkFaults, nodes };
    this.#faults = new Faults({ ...targets, clients: this.#clients });
    this.#operator = new Operator(clientWorld, random.fork());
    store.observe((revision) => {
      invariants.committed(revision);
      for (const node of nodes) {
        for (const watch of node.run?.storeClient.watches ?? []) {
          watch.committed(revision);
        }
      }
    });
  }

  async run(steps: number): Promise<SimulationResult> {
    for (const starter of [...this.#nodes, ...this.#clients, this.#operator]) {
      starter.start();
    }
    await settled();
    while (this.#calmSinceMs === undefined || !this.#isQuiet()) {
      await this.#step();
      if (this.#steps === steps) {
        this.#calmSinceMs = this.queue.nowMs;
        this.#trace.add("everything is calmed down");
        this.#faults.calmDown();
      }
      if (this.queue.nowMs > (this.#calmSinceMs ?? Infinity) + calmMs) {
        this.#reportLeftovers();
      }
      this.#throwViolation();
    }
    return {
      seed: this.#seed,
      steps: this.#steps,
      simulatedMs: this.queue.nowMs,
      grants: this.#invariants.grants,
      hash: this.#trace.hash,
    };
  }

  rejected(reason: unknown): void {
    const what = reason instanceof Error ? (reason.stack ?? reason.message) : String(reason);
    this.#invariants.fail("code", `a rejection was not handled: ${what}`);
  }

  async #step(): Promise<void> {
    const event = this.queue.next();
    if (event === undefined) {
      throw new Error("nothing will ever happen any more");
    }
    this.#steps++;
    this.#trace.add(event.label);
    try {
      event.run();
    } catch (error) {
      this.#invariants.fail("code", `an exception was not caught: ${String(error)}`);
    }
    await settled();
    this.#invariants.checkBeliefs();
    this.#invariants.checkUnwanted();
  }

  /** Whether nobody waits, and nothing is left: in the log, in the nodes, on their clocks. */
  #isQuiet(): boolean {
    return (
      this.#clients.every(
        ({ users, process, timers }) =>
          process.responsive && timers === 0 && users.every(({ doing }) => doing === undefined),
      ) &&
      !this.#operator.busy &&
      this.#invariants.history.tickets().length === 0 &&
      this.#nodes.every(({ run }) => run?.serves === true && isIdle(run))
    );
  }

  #reportLeftovers(): void {
    for (const { name, doing } of this.#clients.flatMap(({ users }) => users)) {
      if (doing !== undefined) {
        this.#invariants.fail("I6", `${calmMs} ms after the last fault, ${name} ${doing}`);
      }
    }
    for (const { name, timers } of this.#clients) {
      if (timers > 0) {
        this.#invariants.fail("I7", `${name} is closed, and still has ${timers} timers`);
      }
    }
    for (const { name, owner, token } of this.#invariants.history.tickets()) {
      this.#invariants.fail("I7", `a ticket is left: ${name}, token ${token.toString()}, of ${owner}`);
    }
    for (const { name, run } of this.#nodes) {
      if (run?.serves !== true) {
        this.#invariants.fail("I6", `${name} does not serve`);
      } else if (!isIdle(run)) {
        const { store, storeClock, streams, sessionDependencies } = run;
        const sessions = Math.max(streams.size, sessionDependencies.sessions.size);
        const left = `${store.size} tickets, ${sessions} sessions and ${storeClock.timers} timers`;
        this.#invariants.fail("I7", `${name} still has ${left}`);
      }
    }
    this.#invariants.fail("I6", "there is always something left to do");
  }

  #throwViolation(): void {
    const { violation } = this.#invariants;
    if (violation !== undefined) {
      throw new SimulationError(this.#seed, this.#steps, violation, this.#profile, this.#trace.tail(this.#tailLines));
    }
  }
}

function isIdle({ store, storeClock, streams, sessionDependencies }: NodeRun): boolean {
  return store.size === 0 && storeClock.timers === 0 && streams.size === 0 && sessionDependencies.sessions.size === 0;
}

function numbered<Item>(count: number, create: (n: number) => Item): Item[] {
  return Array.from({ length: count }, (_, index) => create(index + 1));
}

/** Resolves once all promises have gone on as far as they can without another event. Nothing else runs meanwhile. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
