import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from "node:http2";

/** A stream that has come, as Node tells of it. */
export type NewStream = readonly [stream: ServerHttp2Stream, headers: IncomingHttpHeaders, ...rest: unknown[]];

export interface StreamGateOptions {
  /** How many streams of one connection may be open. */
  readonly maxStreams: number;
  /** Returns whether that took long, as it does for all but the busiest calls. */
  readonly serve: (...stream: NewStream) => boolean;
  /** Answers a stream of a connection that has too many. */
  readonly refuse: (...stream: NewStream) => void;
}

/** How many new streams are looked at in one turn of the event loop. A turn with so many takes some ten milliseconds. */
const perTurn = 128;

/** For how many a stream counts that takes long. */
const longAs = 8;

const ignore = (): void => undefined;

/** What the gate knows of a connection. */
interface Client {
  open: number;
  /** Streams that came in a turn with too many. */
  readonly waiting: NewStream[];
}

/**
 * Lets new streams in: a bounded number in one turn of the event loop, and in turn those of each connection, so that one which
 * opens thousands does not keep the others waiting.
 */
export class StreamGate {
  readonly #options: StreamGateOptions;
  readonly #clients = new WeakMap<ServerHttp2Session, Client>();
  /** The connections whose streams wait. The first is the next. */
  readonly #waiting = new Set<Client>();
  #passed = 0;
  #scheduled = false;

  constructor(options: StreamGateOptions) {
    this.#options = options;
  }

  /** @param session - the connection that the stream came by */
  enter(session: ServerHttp2Session, ...stream: NewStream): void {
    const client = this.#clientOf(session);
    client.open++;
    stream[0].once("close", () => {
      client.open--;
    });
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(this.#turn);
    }
    if (this.#passed < perTurn && this.#waiting.size === 0) {
      this.#pass(client, stream);
    } else {
      // It may break while it waits, and an error event without a listener would end this process.
      stream[0].on("error", ignore);
      client.waiting.push(stream);
      this.#waiting.add(client);
    }
  }

  #clientOf(session: ServerHttp2Session): Client {
    let client = this.#clients.get(session);
    if (client === undefined) {
      client = { open: 0, waiting: [] };
      this.#clients.set(session, client);
    }
    return client;
  }

  readonly #turn = (): void => {
    this.#passed = 0;
    this.#scheduled = false;
    for (const client of this.#waiting) {
      if (this.#passed >= perTurn) {
        break;
      }
      this.#waiting.delete(client);
      const stream = client.waiting.shift();
      if (client.waiting.length > 0) {
        // It comes again behind the others, in this turn or in a later one.
        this.#waiting.add(client);
      }
      if (stream !== undefined) {
        this.#pass(client, stream);
      }
    }
    if (this.#waiting.size > 0) {
      this.#scheduled = true;
      setImmediate(this.#turn);
    }
  };

  #pass(client: Client, stream: NewStream): void {
    this.#passed++;
    const [{ destroyed, closed }] = stream;
    if (client.open > this.#options.maxStreams && !destroyed && !closed) {
      this.#options.refuse(...stream);
    } else if (this.#options.serve(...stream)) {
      this.#passed += longAs - 1;
    }
  }
}
