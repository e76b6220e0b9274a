import type { Side, Way } from "../network/network.js";
import type { Fault } from "./fault.js";

/** A node whose packets are dropped on one side. */
function cut(kind: string, title: string, sides: readonly Side[], way: Way, ms: number): Fault {
  return {
    kind,
    title: `${title} dropped for ${ms / 1000} s`,
    async inject({ stage, random, wait }) {
      const node = random.pick(await stage.servingNodes());
      try {
        for (const side of sides) {
          await node.links.cut(side, way);
        }
        await wait(ms);
      } finally {
        await node.links.heal();
      }
      return node.name;
    },
  };
}

function slow(kind: string, title: string, side: Side, latencyMs: number, ms: number): Fault {
  return {
    kind,
    title: `${title} delayed by ${latencyMs} ms each way for ${ms / 1000} s`,
    possible: (stage) => stage.nodes.some(({ links }) => links.canSlow),
    async inject({ stage, random, wait }) {
      const node = random.pick(stage.nodes.filter(({ links }) => links.canSlow));
      try {
        node.links.slow(side, latencyMs);
        await wait(ms);
      } finally {
        await node.links.heal();
      }
      return node.name;
    },
  };
}

/** What happens to the links of a node. */
export const linkFaults: readonly Fault[] = [
  cut("cut-off", "all packets of a node", ["clients", "store"], "both", 12_000),
  cut("cut-from-clients", "packets between a node and its clients", ["clients"], "both", 10_000),
  cut("clients-unheard", "packets from the clients to a node", ["clients"], "in", 10_000),
  cut("clients-untold", "packets from a node to its clients", ["clients"], "out", 10_000),
  cut("cut-from-etcd", "packets between a node and etcd", ["store"], "both", 12_000),
  cut("etcd-unheard", "packets from etcd to a node", ["store"], "in", 12_000),
  slow("slow-clients", "the link between a node and its clients", "clients", 150, 8_000),
  slow("slow-etcd", "the link between a node and etcd", "store", 150, 8_000),
];
