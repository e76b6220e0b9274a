import type { LockChannel } from "./lock-channel.js";

/**
 * The channels of all endpoints, and which of them is in use. Calls stay with one endpoint until it fails: moving a lock
 * between servers costs each of them a write.
 */
export class EndpointRing {
  readonly #channels: readonly LockChannel[];
  #current: number;

  constructor(channels: readonly LockChannel[], start: number) {
    this.#channels = channels;
    this.#current = start;
  }

  /** How many channels there are. */
  get size(): number {
    return this.#channels.length;
  }

  /** The channel in use. */
  get current(): LockChannel {
    const channel = this.#channels[this.#current];
    if (channel === undefined) throw new RangeError("a ring has at least one channel");
    return channel;
  }

  /** Every channel once, the one in use first. */
  round(): LockChannel[] {
    return [...this.#channels.slice(this.#current), ...this.#channels.slice(0, this.#current)];
  }

  /** Every channel but the given one, beginning with the next. */
  after(channel: LockChannel): LockChannel[] {
    const at = this.#channels.indexOf(channel);
    return [...this.#channels.slice(at + 1), ...this.#channels.slice(0, at)];
  }

  /** The channel failed: the next one is in use from now on, unless another call has moved on already. */
  leave(channel: LockChannel): void {
    if (this.#channels[this.#current] === channel) this.#current = (this.#current + 1) % this.#channels.length;
  }

  /** Closes every channel, each within that time. */
  async close(withinMs: number): Promise<void> {
    await Promise.all(this.#channels.map((channel) => channel.close(withinMs)));
  }
}
