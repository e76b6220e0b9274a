import type { ClientConfig } from "./client-options.js";
import { systemClock, type Clock } from "./clock.js";
import { Connection } from "./connection.js";
import type { LockChannel } from "./lock-channel.js";
import { SessionChannel } from "./session-channel.js";
import { defaultTiming, type Timing } from "./timing.js";
import { UnaryChannel } from "./unary-channel.js";

/** What a client works with; tests replace it. */
export interface ClientParts {
  readonly clock: Clock;
  readonly timing: Timing;
  /** As `Math.random`. */
  readonly random: () => number;
  readonly createChannel: (endpoint: string, config: ClientConfig, parts: ClientParts) => LockChannel;
}

/** The parts of a client outside tests. */
export const systemParts: ClientParts = {
  clock: systemClock,
  timing: defaultTiming,
  random: Math.random,
  createChannel: (endpoint, { protocol, tls, session }, { clock, timing }) => {
    const connection = new Connection({ endpoint, protocol, tls, clock, ...timing });
    return session
      ? new SessionChannel({ endpoint, connection, clock, openTimeoutMs: timing.connectTimeoutMs })
      : new UnaryChannel(endpoint, connection, clock);
  },
};
