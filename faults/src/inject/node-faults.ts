import type { Fault } from "./fault.js";

/** How long a paused node sleeps: longer than its lease, its sessions and its clients' locks last. */
const longPauseMs = 30_000;

/** What happens to the processes of metasrv. */
export const nodeFaults: readonly Fault[] = [
  {
    kind: "metasrv-kill",
    title: "kill -9 of a node, started again after 2 s",
    async inject({ stage, random, wait }) {
      const node = random.pick(await stage.servingNodes());
      await node.kill();
      await wait(2_000);
      await node.start();
      return node.name;
    },
  },
  {
    kind: "metasrv-pause",
    title: "SIGSTOP of a node for 30 s",
    async inject({ stage, random, wait }) {
      const node = random.pick(await stage.servingNodes());
      await node.kill("SIGSTOP");
      try {
        await wait(longPauseMs);
      } finally {
        await node.kill("SIGCONT");
      }
      return node.name;
    },
  },
  {
    kind: "rolling-restart",
    title: "SIGTERM of all nodes in turn, each started again",
    async inject({ stage, random, wait }) {
      const nodes = random.shuffled(stage.nodes);
      for (const node of nodes) {
        await node.stop();
        await node.start();
        await wait(1_000);
      }
      return nodes.map(({ name }) => name).join(", ");
    },
  },
];
