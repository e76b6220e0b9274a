import { type ClientWay, UnaryWay } from "./client-way.js";
import type { ClientWorld } from "./client-world.js";
import { LockUser } from "./lock-user.js";
import type { Random } from "./random.js";
import { SessionWay } from "./session/session-way.js";
import { SimulatedProcess } from "./simulated-process.js";

/** A client's machine. Its process uses locks and may die; then another one starts from nothing. */
export class SimulatedClient {
  readonly name: string;
  readonly #world: ClientWorld;
  readonly #random: Random;
  readonly #hasSessions: boolean;
  #process: SimulatedProcess;
  #way: ClientWay;
  #users: readonly LockUser[];
  #lives = 0;

  constructor(world: ClientWorld, name: string, hasSessions: boolean) {
    this.#world = world;
    this.name = name;
    this.#random = world.random.fork();
    this.#hasSessions = hasSessions;
    ({ process: this.#process, way: this.#way, users: this.#users } = this.#newLife());
  }

  get process(): SimulatedProcess {
    return this.#process;
  }

  get users(): readonly LockUser[] {
    return this.#users;
  }

  start(): void {
    void this.#live();
  }

  /** The process is killed; another one starts from nothing. */
  crash(): void {
    this.#process.kill();
    this.#world.network.died(this.#process);
    ({ process: this.#process, way: this.#way, users: this.#users } = this.#newLife());
    this.#process.arrive(this.#random.between(10, 2_000), "starts again", () => {
      this.start();
    });
  }

  async #live(): Promise<void> {
    const way = this.#way;
    await Promise.all(this.#users.map((user) => user.live()));
    way.close();
  }

  #newLife(): { process: SimulatedProcess; way: ClientWay; users: readonly LockUser[] } {
    const { network, profile } = this.#world;
    const rate = 1 + this.#random.between(-profile.drift, profile.drift);
    const process = new SimulatedProcess(network.queue, this.#random.fork(), `${this.name}.${++this.#lives}`, rate);
    const common = { network, process, clock: process.createClock(), client: this.name };
    const way = this.#hasSessions ? new SessionWay({ ...common, random: this.#random.fork() }) : new UnaryWay(common);
    const count = this.#hasSessions ? profile.users : 1;
    const users = Array.from({ length: count }, (_, index) => {
      const name = count === 1 ? process.name : `${process.name}/${index + 1}`;
      return new LockUser(this.#world, { name, process, way, random: this.#random.fork() });
    });
    return { process, way, users };
  }
}
