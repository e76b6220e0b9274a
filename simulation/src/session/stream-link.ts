import type { Network } from "../network.js";
import type { NodeRun } from "../simulated-node.js";
import type { SimulatedProcess } from "../simulated-process.js";
import { Pipe } from "./pipe.js";

/** The client's end of a stream. */
export interface ClientEnd<Response> {
  receive(message: Response): void;
  /** The server has ended the stream. */
  ended(): void;
  /** The stream broke. */
  broken(): void;
}

/** The node's end of a stream. */
export interface NodeEnd<Request> {
  receive(message: Request): void;
  /** The client has ended its requests. */
  end(): void;
  /** The stream broke. */
  broken(): void;
}

/** What the node's end of a stream writes to. */
export interface NodeCarrier<Response> {
  readonly writable: () => boolean;
  readonly whenWritable: (callback: () => void) => void;
  readonly send: (message: Response | "end") => void;
  readonly read: (on: boolean) => void;
  /** Called when nothing more comes from this end. */
  readonly over: (how: "ended" | "reset" | "broken") => void;
}

/** What a link connects. */
export interface StreamLinkOptions<Request, Response> {
  readonly network: Network;
  readonly client: string;
  readonly clientProcess: SimulatedProcess;
  readonly node: string;
  readonly run: NodeRun;
  readonly end: ClientEnd<Response>;
  /** The stream arrives at the node. */
  readonly accept: (carrier: NodeCarrier<Response>) => NodeEnd<Request>;
}

/** One stream between a client and a node's process. Each side notices in its own time that it broke, or never. */
export class StreamLink<Request, Response> {
  readonly #options: StreamLinkOptions<Request, Response>;
  readonly #toNode: Pipe<Request | "open" | "end">;
  readonly #toClient: Pipe<Response | "end">;
  #nodeEnd: NodeEnd<Request> | undefined;
  #clientGone = false;
  #nodeGone = false;

  constructor(options: StreamLinkOptions<Request, Response>) {
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

  /** Whether the client should send more now. */
  get writable(): boolean {
    return this.#toNode.writable;
  }

  /** The client sends something. @param drained - called once it is {@link writable} again, if it is not after this */
  send(message: Request | "end", drained?: () => void): void {
    this.#toNode.send(message);
    if (drained !== undefined && !this.writable) {
      const { clientProcess, network, run } = this.#options;
      this.#toNode.whenWritable(() => {
        clientProcess.arrive(network.delayMs(), `${run.process.name} has read`, drained);
      });
    }
  }

  /** The client breaks the stream off; the node notices some time later. */
  breakOff(): void {
    if (!this.#clientGone) {
      this.#clientGone = true;
      this.#toClient.close();
      this.#tellNode();
      this.#closed();
    }
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

  #accept(): NodeEnd<Request> {
    const { network, run, clientProcess, accept } = this.#options;
    return accept({
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
          this.#closed();
          end.broken();
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
