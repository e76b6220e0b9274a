import { backgroundClock, type Clock, type Gather, gatherByEventLoop, newTicketId } from "@metasrv/wire";
import type { ClientConfig } from "./client-options.js";
import { Connection } from "./connection.js";
import type { ChannelListener, LockChannel } from "./lock-channel.js";
import { SessionChannel } from "./session-channel.js";
import { openSessionWire } from "./session-wire.js";
import { defaultTiming, type Timing } from "./timing.js";

/** What a client is built from; tests replace parts of it. */
export interface ClientParts {
  readonly clock: Clock;
  readonly timing: Timing;
  /** As `Math.random`. */
  readonly random: () => number;
  /** 128 random bits that were never given out before. */
  readonly newTicketId: () => Uint8Array;
  /** Gathers the requests that leave in one message. */
  readonly gather: Gather;
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
  newTicketId,
  gather: gatherByEventLoop,
  createChannel: (endpoint, { protocol, tls, credentials }, { clock, timing, gather }, listener) => {
    const connection = new Connection({ endpoint, protocol, tls, credentials, clock, ...timing });
    const { connectTimeoutMs: openTimeoutMs, attemptTimeoutMs: leaveTimeoutMs } = timing;
    const openWire = openSessionWire.bind(undefined, connection);
    const timeouts = { ...timing, openTimeoutMs, leaveTimeoutMs };
    return new SessionChannel({ endpoint, connection, openWire, clock, gather, ...timeouts, listener });
  },
};
