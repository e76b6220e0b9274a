import type { Clock } from "@metasrv/wire";
import type { Cancellation } from "./cancellation.js";
import type { EndpointRing } from "./endpoint-ring.js";
import type { LockChannel } from "./lock-channel.js";
import type { Member } from "./member.js";
import { MemberEndpoints } from "./member-endpoints.js";
import { MemberWatch } from "./member-watch.js";
import type { Timing } from "./timing.js";

export interface DiscoveryOptions {
  readonly clock: Clock;
  readonly timing: Timing;
  readonly random: () => number;
  readonly ring: EndpointRing;
  /** URLs of the endpoints that the user gave. */
  readonly given: readonly string[];
  /** Whether to go to a random one of the members when they are known. */
  readonly spread: boolean;
  /** Makes a channel for one question, which is closed after it. */
  readonly createChannel: (endpoint: string) => LockChannel;
}

/** Sets the endpoints of the ring to the members of the cluster, as the servers themselves tell them. */
export class Discovery {
  readonly #createChannel: DiscoveryOptions["createChannel"];
  readonly #endpoints: MemberEndpoints;
  readonly #watch: MemberWatch;

  constructor(options: DiscoveryOptions) {
    const { clock, timing, ring } = options;
    this.#createChannel = options.createChannel;
    this.#endpoints = new MemberEndpoints({
      ...options,
      ask: (endpoint, scope) => this.#ask(endpoint, scope),
      attemptTimeoutMs: timing.attemptTimeoutMs,
      backoff: timing.discovery,
      joinSpreadMs: timing.joinSpreadMs,
    });
    this.#watch = new MemberWatch({
      clock,
      ring,
      backoff: timing.discovery,
      onMembers: (members, toldBy) => {
        this.#endpoints.update(members, toldBy);
      },
    });
  }

  /** Does nothing the second time. */
  start(): void {
    this.#watch.start();
  }

  stop(): void {
    this.#watch.stop();
    this.#endpoints.stop();
  }

  /**
   * The question goes over a connection of its own, which is closed after it. So clients do not stay connected to all
   * servers, and the process is not kept alive.
   */
  async #ask(endpoint: string, scope: Cancellation): Promise<readonly Member[]> {
    const channel = this.#createChannel(endpoint);
    try {
      return await new Promise((resolve, reject) => {
        channel.watchMembers(scope, resolve).catch(reject);
      });
    } finally {
      await channel.close(0);
    }
  }
}
