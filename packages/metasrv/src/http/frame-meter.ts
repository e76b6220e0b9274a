import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { Clock } from "@metasrv/wire";

/** How many frames that cost a client nothing one connection may bring at once, and then each second. */
const burst = 10_000;
const perSecond = 1_000;

/**
 * Counts the frames of a connection that cost its client nothing, and this process a call into JavaScript: PING, SETTINGS and
 * PRIORITY. While no such frame comes, this costs nothing.
 */
export class FrameMeter {
  readonly #session: ServerHttp2Session;
  readonly #clock: Clock;
  readonly #exceeded: () => void;
  #left = burst;
  #atMs: number;

  /** @param exceeded - called for each frame beyond */
  constructor(session: ServerHttp2Session, clock: Clock, exceeded: () => void) {
    this.#session = session;
    this.#clock = clock;
    this.#exceeded = exceeded;
    this.#atMs = clock.now();
    session.on("ping", this.#count);
    session.on("remoteSettings", this.#count);
    session.on("priority", this.#count);
  }

  /** Node tells frames about an open stream to that stream. */
  watch(stream: ServerHttp2Stream): void {
    stream.on("priority", this.#count);
  }

  readonly #count = (): void => {
    if (this.#session.destroyed) {
      return;
    }
    if (this.#left < 1) {
      const nowMs = this.#clock.now();
      this.#left = Math.min(burst, Math.floor(((nowMs - this.#atMs) / 1000) * perSecond));
      this.#atMs = nowMs;
      if (this.#left < 1) {
        this.#exceeded();
        return;
      }
    }
    this.#left--;
  };
}
