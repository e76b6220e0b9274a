import { createTicketIds } from "@metasrv/wire";
import type { ClientParts } from "../../packages/meta-client/src/client-parts.js";
import type { LockChannel } from "../../packages/meta-client/src/lock-channel.js";
import { MetaClient } from "../../packages/meta-client/src/meta-client.js";
import { SessionChannel } from "../../packages/meta-client/src/session-channel.js";
import { defaultTiming } from "../../packages/meta-client/src/timing.js";
import type { ClientWorld } from "./client-world.js";
import { LockUser } from "./lock-user.js";
import type { Random } from "./random.js";
import { SimulatedConnection } from "./session/simulated-connection.js";
import { type ProcessClock, SimulatedProcess } from "./simulated-process.js";
import { UnaryLockChannel } from "./unary-lock-channel.js";

/** A process that uses locks: the real client over a simulated network, and those who use it. */
export class ClientLife {
  /** The client's name, whichever process it runs as. */
  readonly name: string;
  readonly process: SimulatedProcess;
  readonly users: readonly LockUser[];
  readonly hasSessions: boolean;
  readonly #world: ClientWorld;
  readonly #random: Random;
  /** A clock for the client alone. A timer that is left on it at the end was forgotten. */
  readonly #clock: ProcessClock;
  #connections: SimulatedConnection[] = [];
  #client: MetaClient;

  constructor(world: ClientWorld, name: string, life: string, hasSessions: boolean, random: Random) {
    const { network, profile } = world;
    this.#world = world;
    this.name = name;
    this.#random = random;
    this.hasSessions = hasSessions;
    const rate = 1 + random.between(-profile.drift, profile.drift);
    this.process = new SimulatedProcess(network.queue, random.fork(), life, rate);
    this.#clock = this.process.createClock();
    this.#client = this.#newClient();
    this.users = Array.from({ length: hasSessions ? profile.users : 1 }, (_, index) => {
      return new LockUser(world, { name: `${life}/${index + 1}`, life: this, random: random.fork() });
    });
  }

  get client(): MetaClient {
    return this.#client;
  }

  /** Timers that the client has set. */
  get timers(): number {
    return this.#clock.timers;
  }

  /** The time on the clock that the client goes by. */
  now(): number {
    return (this.#world.variant.wrapClock?.(this.#clock) ?? this.#clock).now();
  }

  /** Lives until everything is calmed down. */
  async live(): Promise<void> {
    await Promise.all(this.users.map((user) => user.live()));
    await this.#client.close();
  }

  /** The network loses one of its connections. */
  tear(): void {
    if (this.#connections.length > 0) {
      this.#random.pick(this.#connections).tear();
    }
  }

  /** Closes the client, which others may use, and goes on with another. */
  renew(): void {
    const client = this.#client;
    this.#client = this.#newClient();
    void client.close();
  }

  #newClient(): MetaClient {
    const { nodes, variant } = this.#world;
    const random = this.#random.fork();
    const clock = variant.wrapClock?.(this.#clock) ?? this.#clock;
    this.#connections = [];
    const endpoints = nodes.map(({ name }) => `http://${name}:3002`);
    const knows = this.hasSessions ? 1 + random.int(endpoints.length) : endpoints.length;
    const parts: ClientParts = {
      clock,
      timing: defaultTiming,
      random: () => random.next(),
      newTicketId: createTicketIds((bytes) => {
        bytes.set(random.bytes(bytes.length));
      }),
      gather: (done) => {
        this.process.arrive(0, "the turn is over", done);
      },
      createChannel: (endpoint, _config, _parts, listener) => {
        const channel = this.#createChannel(endpoint, parts, listener, random);
        return variant.wrapChannel?.(channel, { clock, random }) ?? channel;
      },
    };
    return new MetaClient(
      {
        endpoints: endpoints.slice(0, knows),
        discover: this.hasSessions,
        firstEndpoint: random.pick(["random", "listed"]),
        owner: this.process.name,
        trackNesting: false,
        unavailableAfterMs: random.pick([1_000, 10_000]),
      },
      parts,
    );
  }

  #createChannel(
    endpoint: string,
    { clock, timing, gather }: ClientParts,
    listener: Parameters<ClientParts["createChannel"]>[3],
    random: Random,
  ): LockChannel {
    const { network, nodes, profile, variant } = this.#world;
    const node = nodes.find(({ name }) => endpoint === `http://${name}:3002`);
    if (node === undefined) {
      throw new TypeError(`there is no ${endpoint}`);
    }
    const between = { network, client: this.name, clientProcess: this.process, clock, node };
    if (!this.hasSessions) {
      return new UnaryLockChannel({ ...between, endpoint, random, profile, nodes });
    }
    const connection = new SimulatedConnection({ ...between, timing, changeRequest: variant.changeRequest });
    this.#connections.push(connection);
    return new SessionChannel({
      ...timing,
      endpoint,
      connection,
      openWire: (wireListener) => connection.openWire(wireListener),
      clock,
      gather,
      // Some sessions soon come to the last number.
      lastNumber: random.chance(0.2) ? 2 ** 32 - 1 - random.int(20) : 0,
      openTimeoutMs: timing.connectTimeoutMs,
      leaveTimeoutMs: timing.attemptTimeoutMs,
      listener,
    });
  }
}

/** A client's machine. Its process uses locks and may die; then another one starts from nothing. */
export class SimulatedClient {
  readonly name: string;
  readonly #world: ClientWorld;
  readonly #random: Random;
  readonly #hasSessions: boolean;
  #life: ClientLife;
  #lives = 0;

  constructor(world: ClientWorld, name: string, hasSessions: boolean) {
    this.#world = world;
    this.name = name;
    this.#random = world.random.fork();
    this.#hasSessions = hasSessions;
    this.#life = this.#newLife();
  }

  get process(): SimulatedProcess {
    return this.#life.process;
  }

  get users(): readonly LockUser[] {
    return this.#life.users;
  }

  /** Timers that the client has set. */
  get timers(): number {
    return this.#life.timers;
  }

  start(): void {
    void this.#life.live();
  }

  /** The process is killed; another one starts from nothing. */
  crash(): void {
    this.process.kill();
    this.#world.network.died(this.process);
    this.#life = this.#newLife();
    this.process.arrive(this.#random.between(10, 2_000), "starts again", () => {
      this.start();
    });
  }

  #newLife(): ClientLife {
    const life = `${this.name}.${++this.#lives}`;
    return new ClientLife(this.#world, this.name, life, this.#hasSessions, this.#random.fork());
  }
}
