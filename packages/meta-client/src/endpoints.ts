import type { EventListeners } from "./client-events.js";
import type { ClientConfig } from "./client-options.js";
import type { ClientParts } from "./client-parts.js";
import { Credentials } from "./credentials.js";
import { Discovery } from "./discovery.js";
import { EndpointRing, shuffled } from "./endpoint-ring.js";
import { Failover } from "./failover.js";
import { type LockChannel, silent } from "./lock-channel.js";

/** The endpoints of a client: those that it was given, and those of the servers that it learns of. */
export class Endpoints {
  readonly failover: Failover;
  readonly #ring: EndpointRing;
  readonly #discovery: Discovery | undefined;
  #discovers = false;

  constructor(config: ClientConfig, parts: ClientParts, events: EventListeners) {
    const { clock, timing, random } = parts;
    const spread = config.firstEndpoint === "random";
    const createChannel = (endpoint: string, onDraining: () => void): LockChannel =>
      parts.createChannel(endpoint, config, parts, {
        onConnected: (event) => events.of("connected")?.(event),
        onDisconnected: (reason) => events.of("disconnected")?.({ endpoint, reason }),
        onDraining: () => {
          events.of("draining")?.({ endpoint });
          onDraining();
        },
      });
    // The order is random, so that the clients of a server that fails spread over all others.
    this.#ring = new EndpointRing(spread ? shuffled(config.endpoints, random) : config.endpoints, {
      clock,
      random,
      coolDown: timing.coolDown,
      shuffles: spread,
      onMoved: (from, to) => events.of("moved")?.({ from, to }),
      createChannel,
    });
    if (config.discover) {
      const stranger = { ...config, credentials: new Credentials() };
      this.#discovery = new Discovery({
        clock,
        timing,
        random,
        ring: this.#ring,
        given: config.endpoints,
        spread,
        mayGoTo: (url) => config.credentials.mayGoTo(url),
        createChannel: (endpoint) => parts.createChannel(endpoint, stranger, parts, silent),
      });
    }
    const deadPeerMs = timing.connectTimeoutMs + timing.pingIntervalMs + timing.pingTimeoutMs;
    this.failover = new Failover({ clock, ring: this.#ring, backoff: timing.backoff, deadPeerMs });
  }

  /** Follows the members; to be called with each call, so that a client that is not used does no I/O. */
  discover(): void {
    if (!this.#discovers) {
      this.#discovers = true;
      this.#discovery?.start();
    }
  }

  /** Follows the members no more. */
  stopDiscovery(): void {
    this.#discovery?.stop();
  }

  /** Closes every connection, each within that time. */
  close(withinMs: number): Promise<void> {
    return this.#ring.close(withinMs);
  }
}
