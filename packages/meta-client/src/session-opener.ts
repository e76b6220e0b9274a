import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorDetailSchema } from "@metasrv/proto/metasrv/v1";
import type { BackoffOptions, Clock, Gather } from "@metasrv/wire";
import { openAttachWire } from "./attach-wire.js";
import { Cancellation } from "./cancellation.js";
import { type CarrierKind, describeCarrier, signOfHttp1 } from "./carrier.js";
import type { EndpointConnection } from "./connection.js";
import type { ChannelListener } from "./lock-channel.js";
import { SessionStream } from "./session-stream.js";
import type { SessionWire, SessionWireListener } from "./session-wire.js";

export interface SessionOpenerOptions {
  readonly endpoint: string;
  readonly connection: EndpointConnection;
  /** Opens a stream both ways on the connection. */
  readonly openWire: (listener: SessionWireListener) => Promise<SessionWire>;
  readonly clock: Clock;
  /** As in `SessionStreamOptions`. */
  readonly gather: Gather;
  /** As in `SessionStreamOptions`. */
  readonly lastNumber?: number | undefined;
  /** How long opening a session may take once there is a connection. */
  readonly openTimeoutMs: number;
  /** How long a stream both ways may remain without an answer until the other carrier is tried beside it. */
  readonly carrierPatienceMs: number;
  /** After how long without an answer a Send is repeated. */
  readonly sendTimeoutMs: number;
  /** Pauses before a Send is repeated that failed. */
  readonly backoff: BackoffOptions;
  readonly listener: ChannelListener;
}

const passes = "HTTP/2 goes all the way";

/**
 * Opens the sessions of one endpoint, and finds out with the first of them what can carry them there. A stream both ways is
 * tried first. What has worked is used from then on, until it fails to open a session.
 */
export class SessionOpener {
  readonly #options: SessionOpenerOptions;
  /** The carrier that opened the last session, and why it was that. */
  #known: { readonly kind: CarrierKind; readonly why: string } | undefined;

  constructor(options: SessionOpenerOptions) {
    this.#options = options;
  }

  /** @throws what opening it failed with, the second time if the server did not accept the token of the first */
  async open(): Promise<SessionStream> {
    try {
      return await this.#open();
    } catch (error) {
      if (!this.#options.connection.mayAskAgain(error)) {
        throw error;
      }
      return await this.#open();
    }
  }

  async #open(): Promise<SessionStream> {
    const { connection } = this.#options;
    const known = this.#known;
    if (known === undefined) {
      return await this.#findOut();
    }
    try {
      await connection.ready(new Cancellation());
      const attempt = this.#attempt(known.kind);
      await attempt.opened;
      return this.#found(attempt, known.why);
    } catch (error) {
      if (!isOurs(error)) {
        // The way to the server may have changed, so that is found out anew.
        this.#known = undefined;
        connection.use("stream");
      }
      throw error;
    }
  }

  async #findOut(): Promise<SessionStream> {
    const { connection, carrierPatienceMs } = this.#options;
    if (connection.carrier === "attach-http1") {
      return await this.#overHttp1();
    }
    try {
      await connection.ready(new Cancellation());
    } catch (error) {
      return await this.#overHttp1If(error);
    }
    const attempt = this.#attempt("stream");
    const outcome = await this.#patiently(attempt.outcome);
    if (outcome === "late") {
      const why = `a request that streams had no answer within ${carrierPatienceMs} ms, but others have: a proxy keeps it`;
      return await this.#firstOf(attempt, why);
    }
    if (outcome === undefined) {
      return this.#found(attempt, passes);
    }
    if (signOfHttp1(outcome.error) !== undefined) {
      return await this.#overHttp1If(outcome.error);
    }
    if (!connection.connected || isOurs(outcome.error)) {
      throw outcome.error;
    }
    return await this.#firstOf(
      attempt,
      `a request that streams was refused: ${ConnectError.from(outcome.error).message}`,
    );
  }

  async #overHttp1If(error: unknown): Promise<SessionStream> {
    const { connection } = this.#options;
    // A call beside this one may have found it out meanwhile.
    if (connection.carrier !== "attach-http1" && !connection.foundHttp1(error)) {
      throw error;
    }
    return await this.#overHttp1();
  }

  async #overHttp1(): Promise<SessionStream> {
    const attempt = this.#attempt("attach-http1");
    try {
      await attempt.opened;
    } catch (error) {
      this.#options.connection.use("stream");
      throw error;
    }
    return this.#found(attempt, this.#options.connection.http1Why);
  }

  /**
   * Tries the other carrier beside the stream. The first that is answered is used: over one connection, the stream is
   * answered first wherever it passes, because it was opened first.
   *
   * @throws what the stream failed with, if the other one fails, too
   */
  async #firstOf(stream: Attempt, why: string): Promise<SessionStream> {
    const attach = this.#attempt("attach-http2");
    let found;
    try {
      found = await Promise.any([
        stream.opened.then(() => ({ winner: stream, loser: attach, why: passes })),
        attach.opened.then(() => ({ winner: attach, loser: stream, why })),
      ]);
    } catch (error) {
      throw error instanceof AggregateError ? error.errors[0] : error;
    }
    found.loser.lose();
    return this.#found(found.winner, found.why);
  }

  #found(attempt: Attempt, why: string): SessionStream {
    const { connection, endpoint, listener } = this.#options;
    const { kind, stream } = attempt;
    this.#known = { kind, why };
    connection.use(kind);
    listener.onConnected(describeCarrier(endpoint, kind, why));
    void stream.over.then((reason) => {
      listener.onDisconnected(reason);
    });
    return stream;
  }

  #attempt(kind: CarrierKind): Attempt {
    return new Attempt(kind, this.#options);
  }

  /** Settles as the promise, or as `"late"` if that takes too long. */
  async #patiently<T>(promise: Promise<T>): Promise<T | "late"> {
    const { clock, carrierPatienceMs } = this.#options;
    let onLate: (late: "late") => void = () => undefined;
    const late = new Promise<"late">((resolve) => (onLate = resolve));
    const timer = clock.after(carrierPatienceMs, () => {
      onLate("late");
    });
    try {
      return await Promise.race([promise, late]);
    } finally {
      timer.cancel();
    }
  }
}

/** An attempt to open a session by one carrier. */
class Attempt {
  readonly kind: CarrierKind;
  readonly stream: SessionStream;
  readonly opened: Promise<void>;
  /** What it failed with, or undefined once it is open. */
  readonly outcome: Promise<{ readonly error: unknown } | undefined>;
  #lost = false;

  constructor(kind: CarrierKind, options: SessionOpenerOptions) {
    const { endpoint, connection, clock, gather, lastNumber, listener } = options;
    const { openTimeoutMs, sendTimeoutMs, backoff } = options;
    this.kind = kind;
    this.stream = new SessionStream({
      endpoint,
      openWire: (listener) =>
        kind === "stream"
          ? options.openWire(listener)
          : Promise.resolve(
              openAttachWire(connection.transportOf(kind), listener, {
                ...{ clock, sendTimeoutMs, backoff },
                headers: () => connection.headers(),
                mayAskAgain: (error) => connection.mayAskAgain(error),
              }),
            ),
      clock,
      gather,
      lastNumber,
      holdProcess: (hold) => {
        if (hold) {
          connection.hold();
        } else {
          connection.release();
        }
      },
      disconnect: (reason) => {
        // The connection of an attempt that lost serves the one that won.
        if (!this.#lost) {
          connection.close(reason);
        }
      },
      onDraining: () => {
        listener.onDraining();
      },
    });
    const timer = clock.after(openTimeoutMs, () => {
      this.stream.close(`no session within ${openTimeoutMs} ms`);
    });
    this.opened = this.stream.open().finally(() => {
      timer.cancel();
    });
    this.outcome = this.opened.then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
  }

  /** Another attempt is used. */
  lose(): void {
    this.#lost = true;
    this.stream.close();
  }
}

/** Whether an error is the server's own answer, or about who asks. It would be the same by any carrier. */
function isOurs(error: unknown): boolean {
  const rpcError = ConnectError.from(error);
  return rpcError.code === Code.Unauthenticated || rpcError.findDetails(ErrorDetailSchema).length > 0;
}
