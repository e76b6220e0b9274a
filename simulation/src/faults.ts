import type { EventQueue } from "./event-queue.js";
import type { Network } from "./network.js";
import type { FaultKind, Profile } from "./profile.js";
import type { Random } from "./random.js";
import type { SimulatedClient } from "./simulated-client.js";
import type { SimulatedNode } from "./simulated-node.js";
import type { StoreCluster } from "./store/store-cluster.js";
import type { LinkFaults } from "./store/store-link.js";
import type { Trace } from "./trace.js";

/** What can fail. */
export interface FaultTargets {
  readonly queue: EventQueue;
  readonly trace: Trace;
  readonly random: Random;
  readonly profile: Profile;
  readonly network: Network;
  readonly cluster: StoreCluster;
  readonly linkFaults: LinkFaults;
  readonly nodes: readonly SimulatedNode[];
  readonly clients: readonly SimulatedClient[];
}

/** Lets something fail now and then, and repairs it some time later, until everything is calmed down. */
export class Faults {
  readonly #targets: FaultTargets;
  readonly #repairs = new Set<() => void>();
  #calm = false;

  constructor(targets: FaultTargets) {
    this.#targets = targets;
    this.#setStoreFaults(targets.profile.storeFaults);
    this.#scheduleNext();
  }

  /** Repairs everything. Nothing fails from now on. */
  calmDown(): void {
    this.#calm = true;
    for (const repair of [...this.#repairs]) {
      repair();
    }
    this.#setStoreFaults(0);
  }

  #scheduleNext(): void {
    const { queue, random, profile } = this.#targets;
    if (profile.faults.length > 0) {
      queue.after(random.between(0, 2 * profile.faultEveryMs), "a fault is due", () => {
        if (!this.#calm) {
          this.#inject(random.pick(profile.faults));
          this.#scheduleNext();
        }
      });
    }
  }

  #inject(kind: FaultKind): void {
    const { random, nodes, clients, network, cluster, trace } = this.#targets;
    const node = random.pick(nodes);
    const client = random.pick(clients);
    const { run } = node;
    const say = (whom: string) => {
      trace.add(`FAULT ${kind}: ${whom}`);
    };
    switch (kind) {
      case "node pause": {
        say(node.name);
        run?.process.pause();
        this.#later(kind, () => run?.process.resume());
        break;
      }
      case "node crash":
      case "node stop":
        say(node.name);
        this.#endNode(node, kind === "node stop");
        break;
      case "client pause": {
        say(client.name);
        const { process } = client;
        process.pause();
        this.#later(kind, () => {
          process.resume();
        });
        break;
      }
      case "client crash":
        say(client.name);
        client.crash();
        break;
      case "client cut":
        say(`${client.name} from ${node.name}`);
        network.cut(client.name, node.name);
        this.#later(kind, () => {
          network.heal(client.name, node.name);
        });
        break;
      case "store cut":
      case "store cut to":
      case "store cut from":
        say(node.name);
        if (kind !== "store cut from") {
          run?.link.cut("to the store");
        }
        if (kind !== "store cut to") {
          run?.link.cut("from the store");
        }
        this.#later(kind, () => run?.link.heal());
        break;
      case "store leader":
        say("etcd");
        cluster.loseLeader();
        this.#later(kind, () => {
          cluster.electLeader();
        });
        break;
      case "store full":
        say("etcd");
        cluster.full = true;
        this.#later(kind, () => {
          cluster.full = false;
        });
        break;
      case "compaction":
        say("etcd");
        this.#compact();
        break;
      case "watch broken":
        say(node.name);
        run?.link.breakStreams();
        break;
      case "watch silent":
        say(node.name);
        for (const watch of run?.storeClient.watches ?? []) {
          watch.stream.silent = true;
        }
        break;
      case "watch lag":
        say(node.name);
        this.#lag(node);
        break;
      case "storm":
        say("store");
        this.#setStoreFaults(0.2);
        this.#later(kind, () => {
          this.#setStoreFaults(this.#calm ? 0 : this.#targets.profile.storeFaults);
        });
        break;
    }
  }

  #endNode(node: SimulatedNode, gracefully: boolean): void {
    const { run } = node;
    const died = () => {
      if (run !== undefined) {
        this.#targets.network.died(run.process);
      }
    };
    if (gracefully) {
      void node.stop().then(died);
    }
    // A stop that hangs ends as a crash does.
    this.#later("node down", () => {
      if (node.run === run) {
        node.crash();
        died();
      }
      node.start();
    });
    if (!gracefully) {
      node.crash();
      died();
    }
  }

  #compact(): void {
    const { cluster, nodes } = this.#targets;
    cluster.store.compact();
    for (const node of nodes) {
      for (const watch of node.run?.storeClient.watches ?? []) {
        watch.compacted();
      }
    }
  }

  #lag(node: SimulatedNode): void {
    const { run } = node;
    if (run !== undefined) {
      run.link.watchLagMs = this.#targets.random.between(10, 3_000);
      this.#later("watch lag", () => {
        run.link.watchLagMs = 0;
      });
    }
  }

  #setStoreFaults(probability: number): void {
    const { linkFaults } = this.#targets;
    linkFaults.loss = probability;
    linkFaults.late = probability;
    linkFaults.doubled = probability;
  }

  /** Repairs after some time, or when everything is calmed down. */
  #later(what: string, repair: () => void): void {
    const { queue, random, profile } = this.#targets;
    const once = () => {
      if (this.#repairs.delete(once)) {
        repair();
      }
    };
    this.#repairs.add(once);
    queue.after(random.between(20, profile.longestFaultMs), `repair: ${what}`, once);
  }
}
