import type { SessionCommand } from "@metasrv/proto/metasrv/v1";
import type { Clock } from "@metasrv/wire";
import pino from "pino";
import type { Locks } from "../../packages/metasrv/src/api/locks.js";
import { Fold } from "../../packages/metasrv/src/fold/fold.js";
import type { CommandLog } from "../../packages/metasrv/src/log/command-log.js";
import { EtcdLog, type EtcdLogParts } from "../../packages/metasrv/src/log/etcd/etcd-log.js";
import { FatalError } from "../../packages/metasrv/src/model/fatal-error.js";
import { defaultLimits } from "../../packages/metasrv/src/model/limits.js";
import { shuttingDown } from "../../packages/metasrv/src/model/lock-errors.js";
import { LockNode } from "../../packages/metasrv/src/node/lock-node.js";
import { OpenSessions } from "../../packages/metasrv/src/session/open-sessions.js";
import type { SessionDependencies } from "../../packages/metasrv/src/session/session.js";
import type { EventQueue } from "./event-queue.js";
import type { Invariants } from "./invariants.js";
import type { Profile } from "./profile.js";
import type { Random } from "./random.js";
import type { NodeSession } from "./session/node-session.js";
import { type ProcessClock, SimulatedProcess } from "./simulated-process.js";
import { StoreClient, storeKeys } from "./store/store-client.js";
import type { StoreCluster } from "./store/store-cluster.js";
import { type LinkFaults, StoreLink } from "./store/store-link.js";
import type { Trace } from "./trace.js";

/** What a node does wrong on purpose. */
export interface NodeVariant {
  readonly wrapLog?: (log: CommandLog, clock: Clock) => CommandLog;
  readonly changeParts?: (parts: EtcdLogParts) => EtcdLogParts;
  /** @param node - its name, such as `node1` */
  readonly createFold?: (node: string) => Fold;
  readonly wrapLocks?: (locks: Locks) => Locks;
  /** Called for each session. The function that it returns changes the client's commands. */
  readonly mistake?: () => (command: SessionCommand) => SessionCommand;
}

/** What all nodes share. */
export interface NodeWorld {
  readonly queue: EventQueue;
  readonly trace: Trace;
  readonly random: Random;
  readonly cluster: StoreCluster;
  readonly profile: Profile;
  readonly linkFaults: LinkFaults;
  readonly variant: NodeVariant;
  readonly invariants: () => Invariants;
}

/** One machine that runs a metasrv. Its process can be stopped, killed and started again. */
export class SimulatedNode {
  readonly name: string;
  readonly #world: NodeWorld;
  #starts = 0;
  #run: NodeRun | undefined;
  /** The highest level of log entries that the version on this machine knows. It may be raised between two starts. */
  #level: number;

  constructor(world: NodeWorld, name: string) {
    this.#world = world;
    this.name = name;
    this.#level = world.profile.firstLevel;
  }

  /** The process that runs now; undefined while there is none. */
  get run(): NodeRun | undefined {
    return this.#run;
  }

  start(): void {
    if (this.#run !== undefined) {
      return;
    }
    const { random, queue, trace, profile } = this.#world;
    if (this.#starts > 0 && random.chance(profile.upgrades)) {
      this.#level = Math.min(this.#level + 1, newestLevel);
    }
    const run = new NodeRun(this.#world, `${this.name}.${++this.#starts}`, this.#level, (error) => {
      this.#ended(run, error);
    });
    this.#run = run;
    trace.add(`${run.process.name} starts`);
    run.start().catch((error: unknown) => {
      if (error instanceof FatalError) {
        this.#ended(run, error);
        return;
      }
      trace.add(`${run.process.name} could not start: ${String(error)}`);
      this.crash();
      queue.after(random.between(100, 1_000), `${this.name} is started again`, () => {
        this.start();
      });
    });
  }

  /**
   * The node has ended itself. A node that is too old for the log is upgraded. In any other case, this is a violation.
   */
  #ended(run: NodeRun, error: Error): void {
    const { random, queue, trace, invariants } = this.#world;
    trace.add(`${run.process.name} ended itself: ${error.message}`);
    if (!(error instanceof FatalError && error.message.includes("upgrade this server"))) {
      invariants().fatal(run.process.name, error);
    }
    this.#level = newestLevel;
    if (this.#run === run) {
      this.crash();
      queue.after(random.between(100, 1_000), `${this.name} is started again`, () => {
        this.start();
      });
    }
  }

  crash(): void {
    this.#run?.process.kill();
    this.#run = undefined;
  }

  /** Stops the process as SIGTERM does. What is held is left to the other nodes. */
  async stop(): Promise<void> {
    const run = this.#run;
    await run?.stop();
    if (run !== undefined && this.#run === run) {
      this.crash();
    }
  }
}

/** The level that nodes know after an upgrade. */
const newestLevel = 2;

const connectTimeoutMs = 20_000;
const attemptTimeoutMs = 2_000;
// Three times as long as in a server: a feed that may be further behind shows more mistakes.
const checkMs = 3_000;

/** How long the last answers of a node that stops may take to leave, in milliseconds. */
const endMs = 100;

/** One run of the server's process: the real node and the real etcd log over a simulated etcd. */
export class NodeRun {
  readonly process: SimulatedProcess;
  readonly link: StoreLink;
  readonly storeClient: StoreClient;
  readonly store: LockNode;
  /** The node as its services see it. */
  readonly locks: Locks;
  readonly sessionDependencies: SessionDependencies;
  readonly variant: NodeVariant;
  /** The streams of sessions that are open. */
  readonly streams = new Set<NodeSession>();
  readonly #drainMs: number;
  /** A clock for the node and its sessions alone. A timer that is left on it at the end was forgotten by them. */
  readonly storeClock: ProcessClock;
  readonly #address: string;
  #serves = false;

  constructor(world: NodeWorld, name: string, level: number, fatal: (error: Error) => void) {
    const { queue, cluster, profile, linkFaults, variant } = world;
    const random = world.random.fork();
    const rate = 1 + random.between(-profile.drift, profile.drift);
    this.process = new SimulatedProcess(queue, random, name, rate);
    this.link = new StoreLink(this.process, cluster, random, linkFaults, profile.storeDelayMs);
    const client = new StoreClient(this.link);
    this.storeClient = client;
    this.storeClock = this.process.createClock();
    const logger = pino({ level: "silent" });
    const parts: EtcdLogParts = {
      client,
      keys: storeKeys,
      clock: this.process.createClock(),
      logger,
      fatal,
      hosts: ["etcd"],
      connectTimeoutMs,
      requestTimeoutMs: profile.requestTimeoutMs,
      memberTtlSeconds: profile.memberTtlSeconds,
      quotaBytes: 2 * 1024 ** 3,
      txn: (request) => client.txn(request, attemptTimeoutMs),
      gather: (done, urgent) => {
        if (urgent) {
          queueMicrotask(done);
        } else {
          this.process.arrive(random.between(0, 0.5), "the log's turn is over", done);
        }
      },
      random: () => random.next(),
      unixMs: () => 1_000,
      checkMs,
      maxInFlight: 4,
      minLogBytes: profile.logBytes,
      knownLevel: level,
    };
    const log = new EtcdLog(variant.changeParts?.(parts) ?? parts);
    const [node = name] = name.split(".");
    this.#address = `${node}:3002`;
    const fold = variant.createFold?.(node) ?? new Fold(undefined, level);
    const limits = {
      ...defaultLimits,
      waiterGraceMs: profile.waiterGraceMs,
      heartbeatMs: profile.sessionTimeoutMs / 3,
      sessionTimeoutMs: profile.sessionTimeoutMs,
    };
    this.store = new LockNode({
      fold,
      log: variant.wrapLog?.(log, this.process.createClock()) ?? log,
      clock: this.storeClock,
      limits,
      logger,
      newTicketId: () => random.bytes(16),
      unixMs: () => Math.floor(queue.nowMs),
    });
    this.variant = variant;
    this.locks = variant.wrapLocks?.(this.store) ?? this.store;
    const sessions = new OpenSessions();
    this.sessionDependencies = { sessions, limits, clock: this.storeClock, logger };
    this.#drainMs = profile.drainMs;
  }

  get serves(): boolean {
    return this.#serves && this.process.alive;
  }

  async start(): Promise<void> {
    await this.store.start({ address: this.#address, version: "0.0.0", startedUnixMs: 0 });
    this.#serves = true;
  }

  /** Stops as the server does. If there are other nodes, clients are sent there first. */
  async stop(): Promise<void> {
    const { sessions } = this.sessionDependencies;
    const clock = this.process.createClock();
    if (this.#drainMs > 0 && this.store.cluster.hasPeers) {
      await sessions.drain(clock, this.#drainMs);
    }
    await this.store.stop();
    for (const stream of this.streams) {
      stream.shutDown(shuttingDown());
    }
    await new Promise<void>((resolve) => {
      clock.after(endMs, resolve);
    });
  }
}
