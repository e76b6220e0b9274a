import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { Clock, Timer } from "@metasrv/wire";

/**
 * How many pings a client may leave unanswered. After a pause of this process, the answer to one ping may have arrived
 * but not been read.
 */
const patience = 1;

/** How long a client may take to read that its connection ends, in milliseconds. */
const farewellMs = 1_000;

/**
 * Pings an HTTP/2 client regularly, and destroys its connection when it does not answer.
 *
 * Above all this ends connections on which Node has stopped reading for good, as it does after most protocol errors:
 * Node would never notice that the client closes such a connection.
 *
 * @param socket - what the session reads from
 * @param everyMs - in milliseconds; a connection that is dead is destroyed after three times this at most
 */
export function probeRegularly(
  session: ServerHttp2Session,
  socket: Socket,
  { clock, everyMs }: { clock: Clock; everyMs: number },
): void {
  let unanswered = 0;
  let timer: Timer;
  const probe = (): void => {
    if (unanswered > patience || session.destroyed) {
      session.destroy();
      // Node itself would wait without end for what it has written to be taken.
      timer = clock.after(farewellMs, () => {
        socket.destroy();
      });
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
