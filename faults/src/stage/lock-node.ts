import { type Host, type LogLine, type Metasrv, startMetasrv } from "@metasrv/testing";
import type { NodeLinks } from "../network/network.js";

export interface LockNodeOptions {
  readonly name: string;
  /** Where it listens, as host:port. */
  readonly address: string;
  readonly host: Host | undefined;
  readonly links: NodeLinks;
}

/** A metasrv on a machine of its own. It can be started again there after its end. */
export class LockNode implements AsyncDisposable {
  readonly name: string;
  readonly links: NodeLinks;
  readonly #options: LockNodeOptions;
  readonly #logs: (readonly LogLine[])[] = [];
  #server: Metasrv | undefined;
  #toEnd: Metasrv | undefined;
  #crash: string | undefined;

  constructor(options: LockNodeOptions) {
    this.name = options.name;
    this.links = options.links;
    this.#options = options;
  }

  /** What its processes have logged, in order. */
  get logs(): readonly LogLine[] {
    return this.#logs.flat();
  }

  /** Resolves when it listens. */
  async start(): Promise<void> {
    const { address, host, links } = this.#options;
    this.#server = await startMetasrv({
      args: ["--bind-addr", address, "--insecure-listen", "--server-addr", links.clientAddress, "--log-level", "debug"],
      store: links.storeAddresses.join(","),
      host,
    });
    this.#logs.push(this.#server.logs);
    this.#watch(this.#server);
  }

  /** How one of its processes ended without being told to, with its last words; undefined if none did. */
  get crash(): string | undefined {
    return this.#crash;
  }

  /** Sends a signal; for SIGKILL, the default, resolves when the process has ended. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (signal === "SIGKILL") {
      this.#toEnd = this.#started;
    }
    await this.#started.kill(signal);
  }

  /**
   * Ends it in order.
   *
   * @throws Error when it does not end, or ends with another code than 0
   */
  async stop(): Promise<void> {
    this.#toEnd = this.#started;
    const code = await this.#started.stop();
    if (code !== 0) {
      throw new Error(`${this.name} ended with code ${code} after SIGTERM; expected 0`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#toEnd = this.#server;
    await this.#server?.[Symbol.asyncDispose]();
    await this.links[Symbol.asyncDispose]();
  }

  #watch(server: Metasrv): void {
    void server.exited.then(({ code, signal }) => {
      if (this.#toEnd === server) {
        return;
      }
      this.#crash ??= `${this.name} ended by itself (code ${code}, signal ${signal}); ${server.tail}`;
    });
  }

  get #started(): Metasrv {
    if (this.#server === undefined) {
      throw new Error(`${this.name} was not started`);
    }
    return this.#server;
  }
}
