import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

const prefaceBytes = 24;
const headerBytes = 9;
const [dataFrame, headersFrame] = [0, 1];

/**
 * A network on which it is counted how often whoever is at one end had to wait for the other: each time that the client says
 * something after the server has, in frames that carry calls. What HTTP/2 says for itself does not count, since nobody waits for it.
 */
export class RoundTrips implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #count = 0;
  #last: "client" | "server" = "server";

  private constructor(target: string) {
    const { hostname, port } = new URL(target);
    this.#server = createServer((client) => {
      const server = connect({ host: hostname, port: Number(port), noDelay: true });
      client.setNoDelay(true);
      this.#pass(client, server, prefaceBytes, () => {
        if (this.#last === "server") {
          this.#count++;
        }
        this.#last = "client";
      });
      this.#pass(server, client, 0, () => {
        this.#last = "server";
      });
    });
  }

  /** @param target - the URL of the server */
  static async start(target: string): Promise<RoundTrips> {
    const trips = new RoundTrips(target);
    trips.#server.listen(0, "127.0.0.1");
    await once(trips.#server, "listening");
    return trips;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** How many there were while that ran. */
  async of(run: () => Promise<unknown>): Promise<number> {
    this.#count = 0;
    this.#last = "server";
    await run();
    return this.#count;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) {
      socket.destroy();
    }
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** @param skip - how many bytes come before the first frame */
  #pass(from: Socket, to: Socket, skip: number, said: () => void): void {
    this.#sockets.add(from);
    let unread = Buffer.alloc(0);
    let left = skip;
    from.on("data", (chunk: Buffer) => {
      unread = Buffer.concat([unread, chunk]);
      for (;;) {
        const skipped = Math.min(left, unread.length);
        unread = unread.subarray(skipped);
        left -= skipped;
        if (left > 0 || unread.length < headerBytes) {
          break;
        }
        const type = unread.readUInt8(3);
        if (type === dataFrame || type === headersFrame) {
          said();
        }
        left = headerBytes + unread.readUIntBE(0, 3);
      }
      to.write(chunk);
    });
    from.on("error", () => undefined);
    from.on("close", () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }
}
