import type { SessionRequest, SessionResponse } from "@metasrv/proto/metasrv/v1";
import type { Network } from "../network.js";
import type { NodeRun } from "../simulated-node.js";
import type { SimulatedProcess } from "../simulated-process.js";
import { NodeSession } from "./node-session.js";
import { Pipe } from "./pipe.js";

/** The client's end of a stream. */
export interface ClientEnd {
  receive(message: SessionResponse): void;
  /** The server has ended the stream. */
  ended(): void;
  /** The stream broke. */
  broken(): void;
}

/** What a link connects. */
export interface SessionLinkOptions {
  readonly network: Network;
  readonly client: string;
  readonly clientProcess: SimulatedProcess;
  readonly node: string;
  readonly run: NodeRun;
  readonly end: ClientEnd;
}

/** One stream between a client and a node's process. Each side notices in its own time that it broke, or never. */
export class SessionLink {
  readonly #options: SessionLinkOptions;
  readonly #toNode: Pipe<SessionRequest | "open" | "end">;
  readonly #toClient: Pipe<SessionResponse | "end">;
  #nodeEnd: NodeSession | undefined;
  #clientGone = false;
  #nodeGone = false;

  constructor(options: SessionLinkOptions) {
    this.#options = options;
    const { network, client, node, clientProcess, run, end } = options;
    const between = { network, client, node };
    this.#toNode = new Pipe({
      ...between,
      to: run.process,
      label: `message of ${clientProcess.name} arrives`,
      receive: (message) => {
        if (message === "open") {
          this.#nodeEnd = this.#accept();
        } else if (message === "end") {
          this.#nodeEnd?.end();
        } else {
          this.#nodeEnd?.receive(message);
        }
      },
    });
    this.#toClient = new Pipe({
      ...between,
      to: clientProcess,
      label: `message of ${run.process.name} arrives`,
      receive: (message) => {
        if (message === "end") {
          this.#clientGone = true;
          this.#closed();
          end.ended();
        } else {
          end.receive(message);
        }
      },
    });
    network.connected(this);
    this.#toNode.send("open");
  }

  send(message: SessionRequest | "end"): void {
    this.#toNode.send(message);
  }

  /** The client breaks the stream off; the node notices some time later. */
  breakOff(): void {
    this.#clientGone = true;
    this.#toClient.close();
    this.#tellNode();
  }

  /** The connection breaks; both notice some time later. */
  tear(): void {
    this.#tellNode();
    this.#tellClient();
  }

  /** A process at one of its ends is gone: the other end may notice. */
  died(process: SimulatedProcess): void {
    const { clientProcess, run, network } = this.#options;
    if (process === clientProcess) {
      this.breakOff();
    } else if (process === run.process) {
      this.#nodeGone = true;
      this.#closed();
      if (network.random.chance(0.7)) {
        this.#tellClient();
      }
    }
  }

  #accept(): NodeSession {
    const { network, run, clientProcess } = this.#options;
    return new NodeSession({
      run,
      client: clientProcess.name,
      invariants: network.invariants,
      writable: () => this.#toClient.writable,
      whenWritable: (callback) => {
        this.#toClient.whenWritable(() => {
          run.process.arrive(network.delayMs(), `${clientProcess.name} has read`, callback);
        });
      },
      send: (message) => {
        this.#toClient.send(message);
      },
      read: (on) => {
        this.#toNode.read(on);
      },
      over: (how) => {
        this.#nodeGone = true;
        this.#toNode.close();
        if (how === "reset") {
          this.#tellClient();
        }
        this.#closed();
      },
    });
  }

  #tellNode(): void {
    const { network, client, node, clientProcess, run } = this.#options;
    network.send(client, node, () => {
      run.process.arrive(network.noticedAfterMs(), `the stream of ${clientProcess.name} is reset`, () => {
        if (!this.#nodeGone) {
          this.#nodeGone = true;
          this.#toNode.close();
          this.#nodeEnd?.broken();
          this.#closed();
        }
      });
    });
  }

  #tellClient(): void {
    const { network, client, node, clientProcess, run, end } = this.#options;
    network.send(client, node, () => {
      clientProcess.arrive(network.noticedAfterMs(), `the stream to ${run.process.name} is reset`, () => {
        if (!this.#clientGone) {
          this.#clientGone = true;
          this.#toClient.close();
          end.broken();
          this.#closed();
        }
      });
    });
  }

  #closed(): void {
    if (this.#clientGone && this.#nodeGone) {
      this.#options.network.disconnected(this);
    }
  }
}
