import { type Host, type LogLine, type Metasrv, startMetasrv } from "@metasrv/testing";
import type { NodeLinks } from "../network/network.js";

/** What a node is. */
export interface LockNodeOptions {
  readonly name: string;
  /** Where it listens, as host:port. */
  readonly address: string;
  readonly host: Host | undefined;
  readonly links: NodeLinks;
}

/** A metasrv at a place of its own, where it can be started again after its end. */
export class LockNode implements AsyncDisposable {
  readonly name: string;
  readonly links: NodeLinks;
  readonly #options: LockNodeOptions;
  readonly #logs: (readonly LogLine[])[] = [];
  #server: Metasrv | undefined;

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
      args: ["--bind-addr", address, "--server-addr", links.clientAddress, "--log-level", "debug"],
      store: links.storeAddresses.join(","),
      host,
    });
    this.#logs.push(this.#server.logs);
  }

  /** Sends a signal; for SIGKILL, the default, resolves when the process has ended. */
  async kill(signal?: NodeJS.Signals): Promise<void> {
    await this.#started.kill(signal);
  }

  /**
   * Ends it in order.
   *
   * @throws Error when it does not end with code 0
   */
  async stop(): Promise<void> {
    const code = await this.#started.stop();
    if (code !== 0) throw new Error(`${this.name} ended with code ${code} after SIGTERM; expected 0`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
    await this.links[Symbol.asyncDispose]();
  }

  get #started(): Metasrv {
    if (this.#server === undefined) throw new Error(`${this.name} was not started`);
    return this.#server;
  }
}
