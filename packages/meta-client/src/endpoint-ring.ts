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

  /** Every channel once, the one in use first. */
  round(): LockChannel[] {
    return [...this.#channels.slice(this.#current), ...this.#channels.slice(0, this.#current)];
  }

  /** The channel failed: the next one is in use from now on, unless another call has moved on already. */
  leave(channel: LockChannel): void {
    if (this.#channels[this.#current] === channel) this.#current = (this.#current + 1) % this.#channels.length;
  }

  close(): void {
    for (const channel of this.#channels) channel.close();
  }
}
