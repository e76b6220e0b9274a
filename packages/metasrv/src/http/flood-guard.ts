import { constants, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Clock, Timer } from "@metasrv/wire";
import { type ConnectionUse, useOf } from "../api/connection-use.js";
import { ByteMeter } from "./byte-meter.js";
import { FrameMeter } from "./frame-meter.js";

/** How often the bytes of a connection are weighed, in milliseconds. */
const everyMs = 2_000;

/** How long a client that floods may take to read why its connection ends, in milliseconds. */
const farewellMs = 1_000;

/** How long the headers of a call can be, as Node takes them, in bytes. */
const headerBytes = 64 * 1024;

export interface FloodGuardOptions {
  /** How much a call may bring that is not counted as it comes. */
  readonly maxMessageBytes: number;
  readonly clock: Clock;
  /** Called once, when the connection is being ended. */
  readonly flooded: () => void;
}

/**
 * Ends an HTTP/2 connection whose client sends what costs it nothing: at once for frames that Node tells of, and within seconds
 * for all others.
 */
export class FloodGuard {
  readonly #session: ServerHttp2Session;
  readonly #socket: Socket;
  readonly #options: FloodGuardOptions;
  readonly #use: ConnectionUse;
  readonly #frames: FrameMeter;
  readonly #bytes: ByteMeter;
  #weighedAtMs: number;
  #timer: Timer;
  #ended = false;

  /** @param socket - what the session reads from */
  constructor(session: ServerHttp2Session, socket: Socket, options: FloodGuardOptions) {
    this.#session = session;
    this.#socket = socket;
    this.#options = options;
    this.#use = useOf(session);
    this.#frames = new FrameMeter(session, options.clock, () => {
      this.#end();
    });
    this.#bytes = new ByteMeter(socket, this.#use);
    this.#weighedAtMs = options.clock.now();
    this.#timer = options.clock.after(everyMs, this.#weigh);
    socket.once("close", () => {
      this.#timer.cancel();
    });
  }

  /** A stream has been opened. */
  opened(stream: ServerHttp2Stream): void {
    this.#use.usefulBytes += this.#options.maxMessageBytes + headerBytes;
    this.#frames.watch(stream);
  }

  readonly #weigh = (): void => {
    const nowMs = this.#options.clock.now();
    if (this.#bytes.exceeded(nowMs - this.#weighedAtMs)) {
      this.#end();
    } else {
      this.#weighedAtMs = nowMs;
      this.#timer = this.#options.clock.after(everyMs, this.#weigh);
    }
  };

  #end(): void {
    if (this.#ended) {
      return;
    }
    this.#ended = true;
    this.#timer.cancel();
    this.#session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
    // Node itself would wait without end for a client that reads nothing.
    this.#timer = this.#options.clock.after(farewellMs, () => {
      this.#socket.destroy();
    });
    this.#options.flooded();
  }
}
