import type { Host } from "@metasrv/testing";
import { FirewallLinks } from "./firewall-links.js";
import type { Network, NodeEnds, NodeLinks } from "./network.js";
import { ProxyLinks } from "./proxy-links.js";
import { runCommand } from "./run-command.js";

/** How many machines there are of each kind. */
export interface Machines {
  readonly store: number;
  readonly node: number;
  readonly client: number;
}

const hub = "10.77.0.1";
const firstAddress: Machines = { store: 16, node: 32, client: 64 };

/**
 * Makes a machine for each process: a network namespace, linked to the others by a bridge in this process's namespace.
 * All of it is inside the private network and the private mounts of this process (`enterPrivateNetwork`), and is gone
 * with them.
 */
export async function createNamespaceNetwork(machines: Machines): Promise<Network> {
  await runCommand("ip", "link", "set", "lo", "up");
  await runCommand("ip", "link", "add", "hub", "type", "bridge");
  await runCommand("ip", "addr", "add", `${hub}/24`, "dev", "hub");
  await runCommand("ip", "link", "set", "hub", "up");
  const hosts = {
    store: await createHosts("store", machines.store),
    node: await createHosts("node", machines.node),
    client: await createHosts("client", machines.client),
  };
  const hostOf = (kind: keyof Machines, index: number): Host => {
    const host = hosts[kind][index];
    if (host === undefined) {
      throw new Error(`there is no machine for ${kind} ${index}`);
    }
    return host;
  };
  return {
    kind: "namespaces",
    host: hostOf,
    async link(ends: NodeEnds): Promise<NodeLinks> {
      // This firewall cannot delay packets. So the last node is "far away": all its links pass proxies.
      const isFar = ends.index === machines.node - 1;
      return new FirewallLinks(
        hostOf("node", ends.index),
        ends,
        isFar ? await ProxyLinks.create(ends, hub) : undefined,
      );
    },
    async isolateStore(index: number) {
      const { enter } = hostOf("store", index);
      for (const chain of ["INPUT", "OUTPUT"]) {
        await runCommand(...enter, "iptables", "-A", chain, "-p", "tcp", "-j", "DROP");
      }
      return () => runCommand(...enter, "iptables", "-F");
    },
  };
}

async function createHosts(kind: keyof Machines, count: number): Promise<Host[]> {
  const hosts: Host[] = [];
  for (let index = 0; index < count; index++) {
    const name = `${kind}-${index}`;
    const address = `10.77.0.${firstAddress[kind] + index}`;
    await runCommand("ip", "netns", "add", name);
    await runCommand("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name);
    await runCommand("ip", "link", "set", name, "master", "hub", "up");
    await runCommand("ip", "-n", name, "addr", "add", `${address}/24`, "dev", "eth0");
    await runCommand("ip", "-n", name, "link", "set", "eth0", "up");
    await runCommand("ip", "-n", name, "link", "set", "lo", "up");
    hosts.push({ address, enter: ["ip", "netns", "exec", name] });
  }
  return hosts;
}
