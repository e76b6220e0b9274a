import { create } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  ErrorDetailSchema,
  LockService,
  Reason,
  type SessionRequest,
  SessionRequestSchema,
  SessionResponseSchema,
} from "@metasrv/proto/metasrv/v1";
import { Backoff, type BackoffOptions, type Clock, decode, readSessionRequest } from "@metasrv/wire";
import { EndpointFailure } from "./lock-channel.js";
import { randomUUID } from "./platform.js";
import type { SessionWire, SessionWireListener } from "./session-wire.js";
import { translateError } from "./translate-error.js";

export interface AttachWireOptions {
  readonly clock: Clock;
  /** After how long without an answer a Send is repeated. */
  readonly sendTimeoutMs: number;
  /** Pauses before a Send is repeated that failed. */
  readonly backoff: BackoffOptions;
  /** Gives the headers by which the server knows this client, for the calls of this session. */
  readonly headers: () => Promise<Record<string, string>>;
  /** Whether the call that failed like this may succeed with other headers. */
  readonly mayAskAgain: (error: unknown) => boolean;
}

/**
 * A proxy before several servers can go by this header to bring what belongs together to the same one: it is the same for
 * all calls of a session. It is no secret.
 */
const routeHeader = "metasrv-route";

/**
 * Opens a session whose answers come on a stream, and whose requests go one by one: for where HTTP/2 does not go all the
 * way to the server.
 */
export function openAttachWire(
  transport: Transport,
  listener: SessionWireListener,
  options: AttachWireOptions,
): SessionWire {
  return new AttachWire(createClient(LockService, transport), listener, options);
}

/** What goes into a Send, besides its number. */
interface Sending {
  readonly request?: SessionRequest;
  readonly last?: boolean;
}

/**
 * One Send is under way at a time, and what comes meanwhile goes with the next one. A Send whose answer was lost is repeated
 * with the same number until it is answered, so that nothing is left out and nothing is done twice. The server bounds
 * that: it gives up a client that it does not hear, and then the stream ends.
 */
class AttachWire implements SessionWire {
  readonly #client: Client<typeof LockService>;
  readonly #listener: SessionWireListener;
  readonly #options: AttachWireOptions;
  readonly #route = randomUUID();
  /** What the calls go out with. */
  #headers: Record<string, string> = {};
  readonly #abort = new AbortController();
  /** Names the session; set by its first response. */
  #attachId: Uint8Array | undefined;
  #sequence = 0n;
  /** Whether the headers were asked for again for the Send that is under way. */
  #askedAgain = false;
  #sending = false;
  /** Ends the call that is under way. */
  #abandon: () => void = () => undefined;
  #ending = false;
  /** Whether the wire is over: the listener is not called any more. */
  #over = false;

  constructor(client: Client<typeof LockService>, listener: SessionWireListener, options: AttachWireOptions) {
    this.#client = client;
    this.#listener = listener;
    this.#options = options;
    void this.#read();
  }

  get writable(): boolean {
    return this.#attachId !== undefined && !this.#sending && !this.#ending;
  }

  // A session hands over the bytes that a stream needs. They are read again here, so that only this carrier pays for that.
  write(message: Buffer): void {
    void this.#send({ request: decode(SessionRequestSchema, message, readSessionRequest) });
  }

  end(): void {
    this.#ending = true;
    if (!this.#sending && this.#attachId !== undefined) {
      void this.#send({ last: true });
    }
  }

  cancel(): void {
    this.#over = true;
    this.#abort.abort();
    this.#abandon();
  }

  async #read(): Promise<void> {
    try {
      const { signal } = this.#abort;
      await this.#ask();
      for await (const { attachId, response } of this.#client.attach({}, { signal, headers: this.#headers })) {
        if (this.#over) {
          return;
        }
        if (this.#attachId === undefined) {
          if (attachId.length === 0) {
            throw new ConnectError("the server opened a session without naming it", Code.Internal);
          }
          this.#attachId = attachId;
          if (this.#ending) {
            void this.#send({ last: true });
          }
        }
        this.#listener.message(response ?? create(SessionResponseSchema));
      }
      this.#close(undefined);
    } catch (error) {
      this.#close(ConnectError.from(error));
    }
  }

  async #ask(): Promise<void> {
    this.#headers = { ...(await this.#options.headers()), [routeHeader]: this.#route };
  }

  async #send(sending: Sending): Promise<void> {
    this.#sending = true;
    this.#askedAgain = false;
    const sequence = ++this.#sequence;
    const backoff = new Backoff(this.#options.backoff);
    while (!this.#over && !(await this.#sent(sequence, sending))) {
      await this.#pause(backoff.nextMs());
    }
    this.#sending = false;
    if (this.#over || sending.last === true) {
      return;
    }
    if (this.#ending) {
      await this.#send({ last: true });
    } else {
      this.#listener.drained();
    }
  }

  /** Whether the server has taken the Send in. If it never will, the wire is closed. */
  async #sent(sequence: bigint, sending: Sending): Promise<boolean> {
    const late = new AbortController();
    const timer = this.#options.clock.after(this.#options.sendTimeoutMs, () => {
      late.abort();
    });
    this.#abandon = () => {
      late.abort();
    };
    const attachId = this.#attachId ?? new Uint8Array();
    try {
      if (this.#askedAgain) {
        await this.#ask();
      }
      await this.#client.send({ attachId, sequence, ...sending }, { signal: late.signal, headers: this.#headers });
      return true;
    } catch (error) {
      const rpcError = ConnectError.from(error);
      if (!this.#askedAgain && this.#options.mayAskAgain(rpcError)) {
        this.#askedAgain = true;
      } else if (!late.signal.aborted && !mayBeRepeated(rpcError)) {
        this.#close(refused(rpcError));
      }
      return false;
    } finally {
      timer.cancel();
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const { signal } = this.#abort;
      const timer = this.#options.clock.after(ms, done);
      function done(): void {
        timer.cancel();
        signal.removeEventListener("abort", done);
        resolve();
      }
      signal.addEventListener("abort", done);
    });
  }

  #close(error: ConnectError | undefined): void {
    if (this.#over) {
      return;
    }
    this.cancel();
    this.#listener.closed(error);
  }
}

/** Whether the answer was lost on the way, or a proxy has answered in the server's place. */
function mayBeRepeated(error: ConnectError): boolean {
  return (
    error.findDetails(ErrorDetailSchema).length === 0 &&
    translateError(error, { endpoint: "", sent: true }) instanceof EndpointFailure
  );
}

/** The error of the session. What is unanswered may be asked for elsewhere when the server has no such session. */
function refused(error: ConnectError): ConnectError {
  const [detail] = error.findDetails(ErrorDetailSchema);
  return detail?.reason === Reason.NOT_ATTACHED || detail?.reason === Reason.OUT_OF_ORDER
    ? new ConnectError(error.rawMessage, Code.Unavailable, undefined, undefined, error)
    : error;
}
