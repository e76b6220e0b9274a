import type { Host } from "@metasrv/testing";
import type { NodeEnds, NodeLinks, Side, Way } from "./network.js";
import type { ProxyLinks } from "./proxy-links.js";
import { runCommand } from "./run-command.js";

/** A node in a network namespace, whose firewall drops packets. */
export class FirewallLinks implements NodeLinks {
  readonly #host: Host;
  readonly #ends: NodeEnds;
  readonly #proxies: ProxyLinks | undefined;

  /** @param proxies - the proxies between the node and all others, if its links must be slow now and then */
  constructor(host: Host, ends: NodeEnds, proxies: ProxyLinks | undefined) {
    this.#host = host;
    this.#ends = ends;
    this.#proxies = proxies;
  }

  get clientAddress(): string {
    return this.#proxies?.clientAddress ?? this.#ends.address;
  }

  get storeAddresses(): readonly string[] {
    return this.#proxies?.storeAddresses ?? this.#ends.storeEndpoints;
  }

  get canSlow(): boolean {
    return this.#proxies !== undefined;
  }

  async cut(side: Side, way: Way): Promise<void> {
    // All packets that do not belong to the port at which the node serves go to etcd or come from it.
    const negation = side === "clients" ? [] : ["!"];
    const port = this.#ends.address.slice(this.#ends.address.lastIndexOf(":") + 1);
    if (way !== "out") {
      await this.#firewall("-A", "INPUT", "-p", "tcp", ...negation, "--dport", port, "-j", "DROP");
    }
    if (way !== "in") {
      await this.#firewall("-A", "OUTPUT", "-p", "tcp", ...negation, "--sport", port, "-j", "DROP");
    }
  }

  slow(side: Side, latencyMs: number): void {
    this.#proxies?.slow(side, latencyMs);
  }

  async heal(): Promise<void> {
    await this.#firewall("-F");
    await this.#proxies?.heal();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#proxies?.[Symbol.asyncDispose]();
  }

  #firewall(...args: readonly string[]): Promise<void> {
    return runCommand(...this.#host.enter, "iptables", ...args);
  }
}
