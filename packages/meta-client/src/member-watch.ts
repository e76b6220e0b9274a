import { Backoff, type BackoffOptions, type Clock } from "@metasrv/wire";
import { CallScope, Cancellation, sleep } from "./cancellation.js";
import type { EndpointRing } from "./endpoint-ring.js";
import { EndpointFailure, type LockChannel } from "./lock-channel.js";
import type { Member } from "./member.js";
import { ClosedError } from "./meta-errors.js";

export interface MemberWatchOptions {
  readonly clock: Clock;
  readonly ring: EndpointRing;
  /** Pauses before the members are watched at another endpoint. */
  readonly backoff: BackoffOptions;
  /** @param toldBy - URL of the endpoint that tells of the members */
  readonly onMembers: (members: readonly Member[], toldBy: string) => void;
}

/** Keeps a watch of the members open, at one endpoint or another. Does not keep the process alive. */
export class MemberWatch {
  readonly #options: MemberWatchOptions;
  readonly #stopped = new Cancellation();
  #started = false;

  constructor(options: MemberWatchOptions) {
    this.#options = options;
  }

  /** Does nothing the second time. */
  start(): void {
    if (this.#started) {
      return;
    }
    this.#started = true;
    void this.#run();
  }

  /** Ends the watch; nothing is told after that. */
  stop(): void {
    this.#started = true;
    this.#stopped.cancel(new ClosedError());
  }

  async #run(): Promise<void> {
    const { clock, ring, backoff: pauses } = this.#options;
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
        this.#options.onMembers(members, channel.endpoint);
      });
    } catch (error) {
      return error instanceof EndpointFailure;
    } finally {
      scope.end();
    }
  }
}
