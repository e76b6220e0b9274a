import { Circuit, type CircuitOptions } from "./circuit.js";
import type { LockChannel } from "./lock-channel.js";

/** What an {@link EndpointRing} works with. */
export interface EndpointRingOptions extends CircuitOptions {
  /** @param onDraining - to be called when the server says that it is about to stop */
  readonly createChannel: (endpoint: string, onDraining: () => void) => LockChannel;
}

interface Endpoint {
  readonly channel: LockChannel;
  readonly circuit: Circuit;
}

/**
 * The channels of all endpoints, and which of them is in use. Calls stay with one endpoint until it fails: moving a lock
 * between servers costs each of them a write.
 */
export class EndpointRing {
  readonly #endpoints: readonly Endpoint[];
  #current: Endpoint;

  /** @param endpoints - URLs in the order in which they are used; the first is used first */
  constructor(endpoints: readonly string[], options: EndpointRingOptions) {
    this.#endpoints = endpoints.map((endpoint) => {
      const channel = options.createChannel(endpoint, () => {
        this.#drain(channel);
      });
      return { channel, circuit: new Circuit(options) };
    });
    const [first] = this.#endpoints;
    if (first === undefined) throw new RangeError("a ring has at least one channel");
    this.#current = first;
  }

  /** How many channels there are. */
  get size(): number {
    return this.#endpoints.length;
  }

  /** The channel in use. */
  get current(): LockChannel {
    return this.#current.channel;
  }

  /** Every channel once: the one in use and those after it, but last those that failed just now. */
  round(): LockChannel[] {
    return this.#ranked().map(({ channel }) => channel);
  }

  /** As {@link round}, without the given one. */
  after(channel: LockChannel): LockChannel[] {
    return this.round().filter((each) => each !== channel);
  }

  /** The channel failed: another is in use from now on, unless another call has moved on already. */
  leave(channel: LockChannel): void {
    this.#endpoints.find((each) => each.channel === channel)?.circuit.open();
    if (this.#current.channel === channel) {
      this.#current = this.#ranked().find((each) => each.channel !== channel) ?? this.#current;
    }
  }

  /** Closes every channel, each within that time. */
  async close(withinMs: number): Promise<void> {
    await Promise.all(this.#endpoints.map(({ channel }) => channel.close(withinMs)));
  }

  /** The server is about to stop. Where there is no other, it serves to its end. */
  #drain(channel: LockChannel): void {
    if (this.size === 1) return;
    this.leave(channel);
    void channel.leave("now");
  }

  #ranked(): Endpoint[] {
    const at = this.#endpoints.indexOf(this.#current);
    const inOrder = [...this.#endpoints.slice(at), ...this.#endpoints.slice(0, at)];
    const ranks = new Map(inOrder.map((endpoint) => [endpoint, endpoint.circuit.openUntilMs]));
    return inOrder.sort((one, other) => (ranks.get(one) ?? 0) - (ranks.get(other) ?? 0));
  }
}
