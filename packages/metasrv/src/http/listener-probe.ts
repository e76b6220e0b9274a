import type { ServerHttp2Session } from "node:http2";
import type { Clock, Timer } from "@metasrv/wire";

/** Pings that a client may leave unanswered. One can be answered already, if this process itself was paused. */
const patience = 1;

/**
 * Pings an HTTP/2 client now and then, and destroys its connection when it does not answer. Above all this ends
 * connections on which Node has stopped reading for good, as it does after most errors of the protocol: their end by the
 * client would never be seen.
 *
 * @param everyMs - in milliseconds; a connection that is dead is destroyed after three times this at most
 */
export function probeRegularly(
  session: ServerHttp2Session,
  { clock, everyMs }: { clock: Clock; everyMs: number },
): void {
  let unanswered = 0;
  let timer: Timer;
  const probe = (): void => {
    if (unanswered > patience || session.destroyed) {
      session.destroy();
      return;
    }
    unanswered++;
    session.ping((error) => {
      if (error === null) {
        unanswered = 0;
      }
    });
    timer = clock.after(everyMs, probe);
  };
  timer = clock.after(everyMs, probe);
  session.once("close", () => {
    timer.cancel();
  });
}
