import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import {
  ClusterService,
  type SessionRequest,
  SessionRequestSchema,
  type SessionResponse,
  type WatchMembersResponse,
} from "@metasrv/proto/metasrv/v1";
import { type Clock, decode, readSessionRequest, type Timer } from "@metasrv/wire";
import { type Cancellation, settledOrCancelled } from "../../../packages/meta-client/src/cancellation.js";
import type { EndpointConnection } from "../../../packages/meta-client/src/connection.js";
import type { SessionWire, SessionWireListener } from "../../../packages/meta-client/src/session-wire.js";
import type { Timing } from "../../../packages/meta-client/src/timing.js";
import type { Network } from "../network.js";
import type { NodeRun, SimulatedNode } from "../simulated-node.js";
import type { SimulatedProcess } from "../simulated-process.js";
import { Inbox } from "./inbox.js";
import { NodeMembers } from "./node-members.js";
import { NodeSession } from "./node-session.js";
import { type ClientEnd, type NodeCarrier, type NodeEnd, StreamLink } from "./stream-link.js";

/** Between whom a connection is, and what it goes by. */
export interface SimulatedConnectionOptions {
  readonly network: Network;
  /** The client's name, whichever process it runs as. */
  readonly client: string;
  readonly clientProcess: SimulatedProcess;
  readonly clock: Clock;
  readonly timing: Timing;
  readonly node: SimulatedNode;
  /** What is wrong on purpose with each message of a session. */
  readonly changeRequest: ((request: SessionRequest) => SessionRequest) | undefined;
}

/** What of a stream a connection can break. */
interface Stream {
  /** @param reason - what the client is told */
  breakOff(reason: ConnectError): void;
  tear(): void;
}

/** In place of the client's HTTP/2 connection to one endpoint. It is made when it is needed, and again when it was lost. */
export class SimulatedConnection implements EndpointConnection {
  readonly protocol = "connect";
  readonly carrier = "stream";
  readonly http1Why = "";
  readonly transport: Transport;
  readonly #options: SimulatedConnectionOptions;
  readonly #streams = new Set<Stream>();
  /** The process that it leads to; undefined while there is no connection. */
  #run: NodeRun | undefined;
  #opening: Promise<void> | undefined;
  #pings: Timer | undefined;
  #ended = false;

  constructor(options: SimulatedConnectionOptions) {
    this.#options = options;
    this.transport = {
      unary: () => Promise.reject(new ConnectError("a simulated node serves streams only", Code.Unimplemented)),
      stream: (method, signal) => {
        if (method.parent.typeName !== ClusterService.typeName) {
          return Promise.reject(new ConnectError("a simulated node serves no such stream", Code.Unimplemented));
        }
        const message = this.#watchMembers(signal) as AsyncIterable<never>;
        const header = new Headers();
        return Promise.resolve({ stream: true, service: method.parent, method, header, trailer: header, message });
      },
    };
  }

  get connected(): boolean {
    return this.#run !== undefined;
  }

  transportOf(): Transport {
    return this.transport;
  }

  use(): void {
    // There is one way only.
  }

  headers(): Promise<Record<string, string>> {
    return Promise.resolve({});
  }

  mayAskAgain(): boolean {
    return false;
  }

  foundHttp1(): boolean {
    return false;
  }

  hold(): void {
    // A simulated process ends when it is killed.
  }

  release(): void {
    // See hold.
  }

  async ready(scope: Cancellation): Promise<void> {
    scope.throwIfCancelled();
    if (this.#ended) {
      throw closed();
    }
    if (this.#run === undefined) {
      this.#opening ??= this.#open().finally(() => {
        this.#opening = undefined;
      });
      await settledOrCancelled(this.#opening, scope);
    }
  }

  /** Opens the stream of a session. */
  openWire(listener: SessionWireListener): Promise<SessionWire> {
    const { network, clientProcess, changeRequest } = this.#options;
    const link = this.#stream<SessionRequest, SessionResponse>(
      {
        receive: (message) => {
          try {
            listener.message(message);
          } catch (error) {
            link.breakOff();
            listener.closed(ConnectError.from(error));
          }
        },
        closed: (error) => {
          listener.closed(error);
        },
      },
      (run, carrier) =>
        new NodeSession({ ...carrier, run, client: clientProcess.name, invariants: network.invariants }),
    );
    const drained = () => {
      listener.drained();
    };
    return Promise.resolve({
      get writable() {
        return link.writable;
      },
      write: (message) => {
        const request = decode(SessionRequestSchema, message, readSessionRequest);
        link.send(changeRequest?.(request) ?? request, drained);
      },
      end: () => {
        link.send("end");
      },
      cancel: () => {
        link.breakOff();
      },
    });
  }

  /** The network loses it: both sides notice some time later. */
  tear(): void {
    for (const stream of this.#streams) {
      stream.tear();
    }
  }

  close(reason = closed()): void {
    this.#run = undefined;
    for (const stream of [...this.#streams]) {
      stream.breakOff(reason);
    }
  }

  end(): void {
    this.#ended = true;
    this.close();
  }

  #open(): Promise<void> {
    const { network, client, clientProcess, clock, timing, node } = this.#options;
    return new Promise((resolve, reject) => {
      const { run } = node;
      const timer = clock.after(timing.connectTimeoutMs, () => {
        reject(new ConnectError(`no connection within ${timing.connectTimeoutMs} ms`, Code.Unavailable));
      });
      const refused = run === undefined || (!run.serves && network.random.chance(0.5));
      network.send(client, node.name, () => {
        clientProcess.arrive(2 * network.delayMs(), `${node.name} ${refused ? "refuses" : "accepts"}`, () => {
          timer.cancel();
          if (refused || this.#ended) {
            reject(new ConnectError("the connection was refused", Code.Unavailable));
          } else {
            this.#run = run;
            resolve();
          }
        });
      });
    });
  }

  async *#watchMembers(signal: AbortSignal | undefined): AsyncGenerator<WatchMembersResponse> {
    const inbox = new Inbox<WatchMembersResponse>();
    const link = this.#stream<never, WatchMembersResponse>(
      {
        receive: (message) => {
          inbox.push(message);
        },
        closed: (error) => {
          inbox.close(error);
        },
      },
      (run, carrier) => new NodeMembers(run, carrier),
    );
    const onAbort = () => {
      link.breakOff();
      inbox.close(new ConnectError("the watch is not wanted any more", Code.Canceled));
    };
    if (signal?.aborted === true) {
      onAbort();
    }
    signal?.addEventListener("abort", onAbort);
    try {
      yield* inbox.all();
    } finally {
      link.breakOff();
    }
  }

  #stream<Request, Response>(
    end: Pick<ClientEnd<Response>, "receive"> & { closed(error: ConnectError | undefined): void },
    accept: (run: NodeRun, carrier: NodeCarrier<Response>) => NodeEnd<Request>,
  ): Omit<StreamLink<Request, Response>, "tear" | "died"> {
    const { network, client, clientProcess, node } = this.#options;
    const run = this.#run;
    if (run === undefined) {
      throw closed();
    }
    const gone = () => {
      this.#streams.delete(stream);
      if (this.#streams.size === 0) {
        this.#pings?.cancel();
      }
    };
    const link = new StreamLink<Request, Response>({
      ...{ network, client, clientProcess, node: node.name, run },
      end: {
        receive: (message) => {
          end.receive(message);
        },
        ended: () => {
          gone();
          end.closed(undefined);
        },
        broken: () => {
          gone();
          end.closed(new ConnectError("the connection broke", Code.Unavailable));
          this.close(new ConnectError("the connection broke", Code.Unavailable));
        },
      },
      accept: (carrier) => accept(run, carrier),
    });
    const stream: Stream = {
      breakOff: (reason) => {
        link.breakOff();
        gone();
        end.closed(reason);
      },
      tear: () => {
        link.tear();
      },
    };
    this.#streams.add(stream);
    if (this.#streams.size === 1) {
      this.#ping(run);
    }
    return {
      get writable() {
        return link.writable;
      },
      send: (message, drained) => {
        link.send(message, drained);
      },
      breakOff: () => {
        link.breakOff();
        gone();
      },
    };
  }

  /** A node that cannot be reached or does not run is given up. */
  #ping(run: NodeRun): void {
    const { network, client, clock, timing, node } = this.#options;
    this.#pings = clock.after(timing.pingIntervalMs + timing.pingTimeoutMs, () => {
      if (network.isCut(client, node.name) || !run.process.responsive) {
        this.close(new ConnectError("a ping had no answer", Code.Unavailable));
      } else {
        this.#ping(run);
      }
    });
  }
}

function closed(): ConnectError {
  return new ConnectError("the client was closed", Code.Canceled);
}
