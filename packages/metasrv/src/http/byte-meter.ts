import type { Socket } from "node:net";
import type { ConnectionUse } from "../api/connection-use.js";

/** How many bytes that serve nothing one connection may bring at once, and then each second. */
const burst = 4 * 1024 * 1024;
const perSecond = 256 * 1024;

/** Who is sent a byte may send this many, so that clients can acknowledge what they read, in however small pieces. */
const perWritten = 4;

/**
 * Weighs what has come by a connection against what its calls and sessions have got of it. So it notices floods of frames that
 * Node reads without telling of them: WINDOW_UPDATE, empty DATA, PRIORITY and headers on closed streams, frames of unknown types.
 */
export class ByteMeter {
  readonly #socket: Pick<Socket, "bytesRead" | "bytesWritten">;
  readonly #use: ConnectionUse;
  #left = burst;
  #read = 0;
  #written = 0;
  #useful = 0;

  constructor(socket: Pick<Socket, "bytesRead" | "bytesWritten">, use: ConnectionUse) {
    this.#socket = socket;
    this.#use = use;
  }

  /**
   * Whether the connection has brought too much that serves nothing.
   *
   * @param elapsedMs - since this was asked last, or since the connection began
   */
  exceeded(elapsedMs: number): boolean {
    const { bytesRead, bytesWritten } = this.#socket;
    const { usefulBytes } = this.#use;
    const allowed = perWritten * (bytesWritten - this.#written) + usefulBytes - this.#useful;
    const useless = Math.max(0, bytesRead - this.#read - allowed);
    this.#left = Math.min(burst, this.#left + (elapsedMs / 1000) * perSecond) - useless;
    this.#read = bytesRead;
    this.#written = bytesWritten;
    this.#useful = usefulBytes;
    return this.#left < 0;
  }
}
