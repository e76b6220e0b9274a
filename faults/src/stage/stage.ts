import { join } from "node:path";
import { type Child, type EtcdCluster, freePorts, startEtcdCluster, until } from "@metasrv/testing";
import type { Etcd3 } from "etcd3";
import { noteForces } from "../history/force.js";
import type { FaultSpan, History } from "../history/history.js";
import { readJournal } from "../history/read-journal.js";
import { nowUs } from "../monotonic.js";
import type { Network } from "../network/network.js";
import { programs } from "../programs.js";
import type { Random } from "../random.js";
import { createStoreClient } from "../store-client.js";
import { CleanUp } from "./clean-up.js";
import { LockClient } from "./lock-client.js";
import { LockNode } from "./lock-node.js";
import { memberAddresses } from "./members.js";
import { startProgram } from "./program.js";
import { TicketRecorder } from "./ticket-recorder.js";
import { writeLines } from "./write-lines.js";

/** How large a stage is. */
export interface StageOptions {
  readonly network: Network;
  readonly random: Random;
  /** For journals and sockets. */
  readonly folder: string;
  readonly storeMembers: number;
  readonly nodes: number;
  readonly clients: number;
  readonly workersPerClient: number;
}

interface StoreParts {
  readonly etcd: EtcdCluster;
  readonly store: Etcd3;
  readonly recorder: TicketRecorder;
}

const nodePort = 3002;
const wellWithinMs = 60_000;
const emptyWithinMs = 60_000;

/** etcd, nodes, clients under load and a resource, each a process of its own. All of them are recorded. */
export class Stage implements AsyncDisposable {
  readonly #cleanUp = new CleanUp();
  readonly network: Network;
  readonly random: Random;
  readonly beginUs = nowUs();
  readonly #folder: string;
  readonly nodes: LockNode[] = [];
  readonly clients: LockClient[] = [];
  readonly #programs = new Map<string, Child>();
  #parts: StoreParts | undefined;
  #probe: Child | undefined;

  private constructor({ network, random, folder }: StageOptions) {
    this.network = network;
    this.random = random;
    this.#folder = folder;
  }

  /** Resolves when everything runs. */
  static async start(options: StageOptions): Promise<Stage> {
    const stage = new Stage(options);
    try {
      await stage.#start(options);
      return stage;
    } catch (error) {
      await stage[Symbol.asyncDispose]();
      throw error;
    }
  }

  get etcd(): EtcdCluster {
    return this.#started.etcd;
  }

  get store(): Etcd3 {
    return this.#started.store;
  }

  get recorder(): TicketRecorder {
    return this.#started.recorder;
  }

  /** The nodes that serve somebody; all nodes if none does. */
  async servingNodes(): Promise<readonly LockNode[]> {
    const served = this.recorder.served();
    const addresses = await memberAddresses(this.store);
    const busy = new Set([...addresses].filter(([id]) => (served.get(id) ?? 0) > 0).map(([, address]) => address));
    const nodes = this.nodes.filter(({ links }) => busy.has(links.clientAddress));
    return nodes.length > 0 ? nodes : this.nodes;
  }

  /**
   * Resolves when etcd has a leader and every node is a member.
   *
   * @throws Error when that takes too long, or when a node, the resource or the probe has ended by itself
   */
  async well(): Promise<void> {
    const isWell = async (): Promise<boolean> => {
      const { crash } = this.nodes.find((node) => node.crash !== undefined) ?? {};
      if (crash !== undefined) {
        throw new Error(crash);
      }
      for (const [path, { exit, tail }] of this.#programs) {
        if (exit === undefined) {
          continue;
        }
        throw new Error(`${path} ended by itself (code ${exit.code}, signal ${exit.signal}); ${tail}`);
      }
      if ((await this.etcd.leader()) === undefined) {
        return false;
      }
      const addresses = new Set((await memberAddresses(this.store).catch(() => new Map<string, string>())).values());
      return this.nodes.every(({ links }) => addresses.has(links.clientAddress));
    };
    await until(isWell, { what: "all nodes to be members again", timeoutMs: wellWithinMs, intervalMs: 100 });
  }

  /** Ends the load, waits until nothing is left, and tells what happened. */
  async finish(faults: readonly FaultSpan[]): Promise<History> {
    const { recorder } = this.#started;
    const endUs = nowUs();
    await Promise.all(this.clients.map((client) => client.stop()));
    await this.#probe?.stop();
    const isEmpty = (): boolean => recorder.left.length === 0;
    await until(isEmpty, { what: "all tickets to be gone", timeoutMs: emptyWithinMs, intervalMs: 100 }).catch(
      () => undefined,
    );
    if (recorder.trouble !== undefined) {
      throw new Error(`the watch on the store broke: ${recorder.trouble}`);
    }
    const resource = await readJournal(join(this.#folder, "resource.jsonl"));
    const puts = await readJournal(join(this.#folder, "store-probe.jsonl"));
    const lives = (await Promise.all(this.clients.map((client) => client.lives()))).flat();
    const [asks, forces] = [lives.flatMap((life) => life.asks), lives.flatMap((life) => life.forces)];
    noteForces(asks, recorder.tickets, forces);
    return {
      asks,
      forces,
      tickets: recorder.tickets,
      resource: resource.filter((event) => event.kind === "written" || event.kind === "fenced"),
      putsUs: puts.map(({ atUs }) => atUs),
      faults,
      left: recorder.left,
      beginUs: this.beginUs,
      endUs,
    };
  }

  /** Writes down, beside the journals, what the nodes have logged and which tickets there were. */
  async writeRecords(): Promise<void> {
    await writeLines(join(this.#folder, "tickets.jsonl"), this.recorder.tickets);
    for (const node of this.nodes) {
      await writeLines(join(this.#folder, `${node.name}.jsonl`), node.logs);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cleanUp.run();
  }

  async #start({ network, random, folder, ...sizes }: StageOptions): Promise<void> {
    const storeHosts = hosts(network, "store", sizes.storeMembers);
    const etcd = this.#cleanUp.add(await startEtcdCluster(sizes.storeMembers, { hosts: storeHosts }));
    const store = createStoreClient(etcd.endpoints);
    this.#cleanUp.add({
      [Symbol.asyncDispose]: () => {
        store.close();
        return Promise.resolve();
      },
    });
    const recorder = this.#cleanUp.add(await TicketRecorder.start(store));
    this.#parts = { etcd, store, recorder };
    const ports = await freePorts(sizes.nodes);
    for (let index = 0; index < sizes.nodes; index++) {
      const host = network.host("node", index);
      const address = host === undefined ? `127.0.0.1:${ports[index] ?? 0}` : `${host.address}:${nodePort}`;
      const links = await network.link({ index, address, storeEndpoints: etcd.endpoints });
      const node = this.#cleanUp.add(new LockNode({ name: `node-${index + 1}`, address, host, links }));
      this.nodes.push(node);
      await node.start();
    }
    await this.well();
    const socket = join(folder, "resource.sock");
    const resource = [socket, join(folder, "resource.jsonl")];
    await this.#startProgram(programs.resourceServer, resource);
    const probe = [etcd.endpoints.join(","), join(folder, "store-probe.jsonl")];
    this.#probe = await this.#startProgram(programs.storeProbe, probe);
    const endpoints = this.nodes.map(({ links }) => `http://${links.clientAddress}`);
    for (let index = 0; index < sizes.clients; index++) {
      const options = { endpoints, workers: sizes.workersPerClient, resource: socket };
      const host = network.host("client", index);
      const client = this.#cleanUp.add(new LockClient({ name: `client-${index + 1}`, host, folder, options }));
      this.clients.push(client);
      await client.start(random.seed());
    }
  }

  async #startProgram(path: string, args: readonly string[]): Promise<Child> {
    const child = await startProgram({ path, args });
    this.#programs.set(path, child);
    this.#cleanUp.add({ [Symbol.asyncDispose]: () => child.kill() });
    return child;
  }

  get #started(): StoreParts {
    if (this.#parts === undefined) {
      throw new Error("the stage was not started");
    }
    return this.#parts;
  }
}

function hosts(network: Network, kind: "store", count: number): NonNullable<ReturnType<Network["host"]>>[] {
  return Array.from({ length: count }, (_, index) => network.host(kind, index)).filter((host) => host !== undefined);
}
