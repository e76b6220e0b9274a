import { backgroundClock, type Clock } from "@metasrv/wire";
import type { ClientConfig } from "./client-options.js";
import { Connection } from "./connection.js";
import type { LockChannel } from "./lock-channel.js";
import { SessionChannel } from "./session-channel.js";
import { defaultTiming, type Timing } from "./timing.js";

/** What a client is built from; tests replace parts of it. */
export interface ClientParts {
  readonly clock: Clock;
  readonly timing: Timing;
  /** As `Math.random`. */
  readonly random: () => number;
  /** @param onDraining - to be called when the server says that it is about to stop */
  readonly createChannel: (
    endpoint: string,
    config: ClientConfig,
    parts: ClientParts,
    onDraining: () => void,
  ) => LockChannel;
}

/** The parts of a client outside tests. */
export const systemParts: ClientParts = {
  clock: backgroundClock,
  timing: defaultTiming,
  random: Math.random,
  createChannel: (endpoint, { protocol, tls, credentials, onCarrier }, { clock, timing }, onDraining) => {
    const connection = new Connection({ endpoint, protocol, tls, credentials, clock, ...timing });
    const { connectTimeoutMs: openTimeoutMs, attemptTimeoutMs: leaveTimeoutMs } = timing;
    return new SessionChannel({
      endpoint,
      connection,
      clock,
      ...timing,
      openTimeoutMs,
      leaveTimeoutMs,
      onDraining,
      onCarrier: (carrier) => {
        // In a turn of its own, so that an error of the caller's function is no error of a lock.
        if (onCarrier !== undefined) {
          queueMicrotask(() => {
            onCarrier(carrier);
          });
        }
      },
    });
  },
};
