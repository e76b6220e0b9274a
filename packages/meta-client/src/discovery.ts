import { Backoff, type Clock } from "@metasrv/wire";
import { CallScope, Cancellation, sleep } from "./cancellation.js";
import type { EndpointRing } from "./endpoint-ring.js";
import { EndpointFailure, type LockChannel } from "./lock-channel.js";
import type { Member } from "./member.js";
import { MemberEndpoints } from "./member-endpoints.js";
import { ClosedError } from "./meta-errors.js";
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
  /** Whether the client may say to a server at that URL who it is. */
  readonly mayGoTo: (url: URL) => boolean;
  /** Makes a channel for one question, which is closed after it. It does not say who the client is. */
  readonly createChannel: (endpoint: string) => LockChannel;
}

/**
 * Sets the endpoints of the ring to the members of the cluster, as the servers themselves tell them. It keeps a watch of
 * the members open, at one endpoint or another, which does not keep the process alive.
 */
export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #endpoints: MemberEndpoints;
  readonly #stopped = new Cancellation();

  constructor(options: DiscoveryOptions) {
    const { timing } = options;
    this.#options = options;
    this.#endpoints = new MemberEndpoints({
      ...options,
      ask: (endpoint, scope) => this.#ask(endpoint, scope),
      attemptTimeoutMs: timing.attemptTimeoutMs,
      backoff: timing.discovery,
      joinSpreadMs: timing.joinSpreadMs,
    });
  }

  /** Begins to watch the members; to be called once. Does nothing after {@link stop}. */
  start(): void {
    void this.#run();
  }

  /** Ends the watch. The ring stays as it is. */
  stop(): void {
    this.#stopped.cancel(new ClosedError());
    this.#endpoints.stop();
  }

  async #run(): Promise<void> {
    const { clock, timing, ring } = this.#options;
    const pauses = timing.discovery;
    const backoff = new Backoff(pauses);
    let last: LockChannel | undefined;
    while (!this.#stopped.cancelled) {
      // The watch goes to the endpoint at which locks are asked for, so that one connection serves both. If it broke
      // there, it goes to another endpoint.
      const channel = ring.round().find((each) => each !== last) ?? ring.current;
      const startedAtMs = clock.now();
      const served = await this.#watch(channel);
      if (clock.now() - startedAtMs > pauses.maxMs) {
        backoff.reset();
      }
      last = channel;
      const pauseMs = served ? backoff.nextMs() : pauses.maxMs;
      await sleep(clock, pauseMs, this.#stopped, false).catch(() => undefined);
    }
  }

  /** @returns false when the server is older than this client and cannot tell its members */
  async #watch(channel: LockChannel): Promise<boolean> {
    const scope = new CallScope().follow(this.#stopped);
    try {
      return await channel.watchMembers(scope, (members) => {
        this.#endpoints.update(members, channel.endpoint);
      });
    } catch (error) {
      return error instanceof EndpointFailure;
    } finally {
      scope.end();
    }
  }

  /**
   * The question goes over a connection of its own, which is closed after it. So clients do not stay connected to all
   * servers, and the process is not kept alive.
   */
  async #ask(endpoint: string, scope: Cancellation): Promise<readonly Member[]> {
    const channel = this.#options.createChannel(endpoint);
    try {
      return await new Promise((resolve, reject) => {
        channel.watchMembers(scope, resolve).catch(reject);
      });
    } finally {
      await channel.close(0);
    }
  }
}
