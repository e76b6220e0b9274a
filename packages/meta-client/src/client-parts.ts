import { backgroundClock, type Clock } from "@metasrv/wire";
import type { ClientConfig } from "./client-options.js";
import { Connection } from "./connection.js";
import type { ChannelListener, LockChannel } from "./lock-channel.js";
import { SessionChannel } from "./session-channel.js";
import { defaultTiming, type Timing } from "./timing.js";

/** What a client is built from; tests replace parts of it. */
export interface ClientParts {
  readonly clock: Clock;
  readonly timing: Timing;
  /** As `Math.random`. */
  readonly random: () => number;
  readonly createChannel: (
    endpoint: string,
    config: ClientConfig,
    parts: ClientParts,
    listener: ChannelListener,
  ) => LockChannel;
}

/** The parts of a client outside tests. */
export const systemParts: ClientParts = {
  clock: backgroundClock,
  timing: defaultTiming,
  random: Math.random,
  createChannel: (endpoint, { protocol, tls, credentials }, { clock, timing }, listener) => {
    const connection = new Connection({ endpoint, protocol, tls, credentials, clock, ...timing });
    const { connectTimeoutMs: openTimeoutMs, attemptTimeoutMs: leaveTimeoutMs } = timing;
    return new SessionChannel({ endpoint, connection, clock, ...timing, openTimeoutMs, leaveTimeoutMs, listener });
  },
};
