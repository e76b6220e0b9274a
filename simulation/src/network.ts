import type { EventQueue } from "./event-queue.js";
import type { Invariants } from "./invariants.js";
import { type NodeAnswer, type NodeRequest, serve, type Served } from "./node-service.js";
import type { Random } from "./random.js";
import type { NodeRun, SimulatedNode } from "./simulated-node.js";
import type { SimulatedProcess } from "./simulated-process.js";

/** What a client learns of a call. */
export type CallOutcome =
  | NodeAnswer
  /** The connection could not be made or broke; what became of the request is not known. */
  | { readonly kind: "disconnected" }
  /** The client itself gave it up. */
  | { readonly kind: "withdrawn" };

/** How often a client pings the node of an open call, in milliseconds. */
const pingMs = 3_000;

/** Something that ends with the processes that it connects. */
export interface Connection {
  /** A process is gone. It may be one of the two that this connects. */
  died(process: SimulatedProcess): void;
}

/**
 * The network between clients and nodes. Any pair can be cut off. What is sent meanwhile arrives later, if it still
 * matters.
 */
export class Network {
  readonly queue: EventQueue;
  readonly random: Random;
  readonly invariants: Invariants;
  readonly #delayMs: number;
  readonly #cut = new Set<string>();
  readonly #connections = new Set<Connection>();
  #held: { readonly pair: string; readonly send: () => void }[] = [];

  constructor(queue: EventQueue, random: Random, invariants: Invariants, delayMs: number) {
    this.queue = queue;
    this.random = random;
    this.invariants = invariants;
    this.#delayMs = delayMs;
  }

  cut(client: string, node: string): void {
    this.#cut.add(`${client}-${node}`);
  }

  heal(client: string, node: string): void {
    const healed = `${client}-${node}`;
    this.#cut.delete(healed);
    const held = this.#held;
    this.#held = held.filter(({ pair }) => pair !== healed);
    for (const { pair, send } of held) {
      if (pair === healed) {
        this.queue.after(this.random.between(0, 400), "a message that was held up", send);
      }
    }
  }

  isCut(client: string, node: string): boolean {
    return this.#cut.has(`${client}-${node}`);
  }

  delayMs(): number {
    return this.random.chance(0.05)
      ? this.random.between(this.#delayMs, 30 * this.#delayMs)
      : this.random.between(0.05, this.#delayMs);
  }

  send(client: string, node: string, send: () => void): void {
    if (this.isCut(client, node)) {
      this.#held.push({ pair: `${client}-${node}`, send });
    } else {
      send();
    }
  }

  call(client: SimulatedProcess, clientName: string, node: SimulatedNode, request: NodeRequest): Call {
    const call = new Call(this, client, clientName, node, request);
    this.connected(call);
    return call;
  }

  connected(connection: Connection): void {
    this.#connections.add(connection);
  }

  disconnected(connection: Connection): void {
    this.#connections.delete(connection);
  }

  /** After what time a side notices that a connection broke, if nothing else tells it. */
  noticedAfterMs(): number {
    return this.random.chance(0.7) ? this.delayMs() : this.random.between(0, 6_000);
  }

  /** The process is gone. Processes that are connected to it notice at once, or later. */
  died(process: SimulatedProcess): void {
    for (const connection of [...this.#connections]) {
      connection.died(process);
    }
  }
}

/** One request of a client to a node, on a connection that can break at any moment. */
export class Call implements Connection {
  readonly outcome: Promise<CallOutcome>;
  readonly #network: Network;
  readonly #client: SimulatedProcess;
  readonly #clientName: string;
  readonly #node: string;
  readonly #run: NodeRun | undefined;
  #resolve: (outcome: CallOutcome) => void = () => undefined;
  #served: Served | undefined;
  #arrivesAtMs = 0;
  #open = true;

  constructor(
    network: Network,
    client: SimulatedProcess,
    clientName: string,
    node: SimulatedNode,
    request: NodeRequest,
  ) {
    this.#network = network;
    this.#client = client;
    this.#clientName = clientName;
    this.#node = node.name;
    this.#run = node.run;
    this.outcome = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    const { run } = node;
    if (run?.serves !== true) {
      client.arrive(network.delayMs(), `${node.name} refuses the connection`, () => {
        this.#end({ kind: "disconnected" });
      });
      return;
    }
    const delayMs = network.delayMs();
    this.#arrivesAtMs = network.queue.nowMs + delayMs;
    network.send(clientName, node.name, () => {
      run.process.arrive(delayMs, `${request.kind} of ${client.name} arrives`, () => {
        this.#receive(run, request);
      });
    });
    this.#watch();
  }

  /** The client gives the call up, and the node is told. */
  withdraw(): void {
    if (this.#end({ kind: "withdrawn" })) {
      this.#tellNode("cancel", this.#network.delayMs());
    }
  }

  /** The connection breaks; the node notices some time later. */
  drop(): void {
    if (this.#end({ kind: "disconnected" })) {
      this.#tellNode("disconnect", this.#network.noticedAfterMs());
    }
  }

  died(process: SimulatedProcess): void {
    if (process === this.#client) {
      // Nobody is left to learn the outcome.
      this.#open = false;
      this.#network.disconnected(this);
      this.#tellNode("disconnect", this.#network.noticedAfterMs());
    } else if (process === this.#run?.process && this.#network.random.chance(0.7)) {
      this.#client.arrive(this.#network.delayMs(), `connection to ${this.#node} is reset`, () => {
        this.#end({ kind: "disconnected" });
      });
    }
  }

  #receive(run: NodeRun, request: NodeRequest): void {
    this.#served = serve(
      run,
      request,
      (grant) => {
        this.#network.invariants.told(run.process.name, grant);
      },
      (answer) => {
        this.#network.send(this.#clientName, this.#node, () => {
          this.#client.arrive(this.#network.delayMs(), `answer ${describeAnswer(answer)}`, () => {
            this.#end(answer);
          });
        });
      },
    );
  }

  #tellNode(how: "cancel" | "disconnect", delayMs: number): void {
    const run = this.#run;
    // The node must not hear of it before it has the request itself.
    const atMs = Math.max(this.#network.queue.nowMs + delayMs, this.#arrivesAtMs + 0.01);
    const send = () => {
      run?.process.arrive(atMs - this.#network.queue.nowMs, `${how} of ${this.#client.name} arrives`, () => {
        this.#served?.withdraw(how);
      });
    };
    if (how === "cancel") {
      this.#network.send(this.#clientName, this.#node, send);
    } else {
      send();
    }
  }

  /** The client pings. It gives up a node that cannot be reached or does not run. */
  #watch(): void {
    this.#client.timer(pingMs, `pings ${this.#node}`, () => {
      if (!this.#open) {
        return;
      }
      const reachable = !this.#network.isCut(this.#clientName, this.#node) && this.#run?.process.responsive === true;
      if (reachable) {
        this.#watch();
      } else {
        this.drop();
      }
    });
  }

  #end(outcome: CallOutcome): boolean {
    if (!this.#open) {
      return false;
    }
    this.#open = false;
    this.#network.disconnected(this);
    this.#resolve(outcome);
    return true;
  }
}

function describeAnswer(answer: NodeAnswer): string {
  return answer.kind === "error" ? answer.error.reason : answer.kind;
}
