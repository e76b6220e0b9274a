import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import type { WriteAnswer, WriteRequest } from "./messages.js";

/** Writes to the resource, from a process of its own. */
export class ResourceClient {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, (taken: boolean) => void>();
  #lastId = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    createInterface({ input: socket }).on("line", (line) => {
      const { id, taken } = JSON.parse(line) as WriteAnswer;
      this.#waiting.get(id)?.(taken);
      this.#waiting.delete(id);
    });
  }

  static async connect(path: string): Promise<ResourceClient> {
    const socket = connect(path);
    await once(socket, "connect");
    return new ResourceClient(socket);
  }

  /** Resolves with whether the write was taken. */
  async write(ask: string, lock: string, token: bigint, floor: bigint): Promise<boolean> {
    const request: WriteRequest = { id: ++this.#lastId, ask, lock, token: token.toString(), floor: floor.toString() };
    return await new Promise((resolve) => {
      this.#waiting.set(request.id, resolve);
      this.#socket.write(`${JSON.stringify(request)}\n`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}
