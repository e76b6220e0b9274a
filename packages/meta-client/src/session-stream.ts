import { Code, ConnectError } from "@connectrpc/connect";
import {
  type LockRequest,
  type SessionResponse,
  SessionResponseSchema,
  type SessionTerms,
} from "@metasrv/proto/metasrv/v1";
import { type Clock, decode, FieldWriter, readSessionResponse, type Timer, writeSessionCommand } from "@metasrv/wire";
import type { Cancellation } from "./cancellation.js";
import type { LockOutcome, Renewed } from "./grant.js";
import type { Holding } from "./holding.js";
import { SessionLedger } from "./session-ledger.js";
import type { SessionWire, SessionWireListener } from "./session-wire.js";

/** What a stream is made of. */
export interface SessionStreamOptions {
  readonly endpoint: string;
  readonly openWire: (listener: SessionWireListener) => Promise<SessionWire>;
  readonly clock: Clock;
  /** Told whether the process should stay alive for this stream, whenever that changes. At first it should not. */
  readonly holdProcess: (hold: boolean) => void;
  /** Breaks the connection under the stream. */
  readonly disconnect: (reason: ConnectError) => void;
  /** The server is about to stop. Not called for what it says at the opening: see {@link SessionStream.draining}. */
  readonly onDraining: () => void;
}

/** A message is ended when it has become so long, so that it is far from what a server refuses. */
const messageBytes = 64 * 1024;

/**
 * One `Session` stream: any number of calls at a time. What is asked for within one turn of the event loop leaves in one
 * message; where an unlock is among it, after the callback that asked for that. Once broken it stays so.
 */
export class SessionStream {
  readonly #options: SessionStreamOptions;
  readonly #ledger: SessionLedger;
  readonly #writer = new FieldWriter();
  #heartbeatDue = false;
  #receivedAtMs: number;
  #timer: Timer | undefined;
  /** While it is open. */
  #wire: SessionWire | undefined;
  /** Until the server has named its terms. */
  #opening: { readonly resolve: () => void; readonly reject: (error: unknown) => void } | undefined;
  #sendScheduled: "no" | "soon" | "urgent" = "no";
  #ending = false;
  /** Nothing is written any more. */
  #ended = false;
  #draining = false;
  #broken = false;
  #onBroken: () => void = () => undefined;
  readonly #over = new Promise<void>((resolve) => {
    this.#onBroken = resolve;
  });

  constructor(options: SessionStreamOptions) {
    this.#options = options;
    this.#receivedAtMs = options.clock.now();
    this.#ledger = new SessionLedger({
      endpoint: options.endpoint,
      heardAtMs: () => this.#receivedAtMs,
      onOutgoing: (urgent) => {
        this.#scheduleSend(urgent);
      },
      onBusy: options.holdProcess,
    });
  }

  get broken(): boolean {
    return this.#broken;
  }

  /** Whether the server said that it is about to stop. */
  get draining(): boolean {
    return this.#draining;
  }

  /**
   * Opens the stream; resolves once the server has named its terms.
   *
   * @throws ConnectError of code `Unimplemented` when the server has no sessions, or what else it failed with
   */
  open(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#opening = { resolve, reject };
      void this.#connect();
    });
  }

  lock(request: LockRequest, scope: Cancellation): Promise<LockOutcome> {
    return this.#ledger.lock(request, scope);
  }

  unlock(holding: Holding, scope: Cancellation): Promise<void> {
    return this.#ledger.unlock(holding, scope);
  }

  renew(holding: Holding, ttlMs: number, scope: Cancellation): Promise<Renewed> {
    return this.#ledger.renew(holding, ttlMs, scope);
  }

  /**
   * Ends the stream, so that the server forgets what it does for it. What is pending rejects. Resolves once the server has
   * heard of it, or the stream is broken.
   */
  async end(): Promise<void> {
    if (this.#broken) {
      return;
    }
    this.#finish("the client was closed");
    this.#options.holdProcess(true);
    await this.#over;
    this.#options.holdProcess(false);
  }

  /**
   * Ends the stream as soon as there is nothing left to be done on it, because other servers are used from now on.
   * Resolves when it is over.
   *
   * @param withinMs - the server is about to stop: waits reject, to be asked for elsewhere, holders are told, and the rest
   *   has so long; absent: what waits here or is held stays as long as it lasts
   */
  async leave(withinMs?: number): Promise<void> {
    if (this.#broken) {
      return;
    }
    const timer =
      withinMs === undefined
        ? undefined
        : this.#options.clock.after(withinMs, () => {
            this.close("the server is about to stop");
          });
    this.#ledger.leave(withinMs !== undefined, () => {
      this.#finish("the client went to another server");
    });
    await this.#over;
    timer?.cancel();
  }

  /** Breaks the stream off, and the connection under it. What is pending rejects. */
  close(why = "the client was closed"): void {
    this.#giveUp(new ConnectError(why, Code.Canceled));
  }

  async #connect(): Promise<void> {
    try {
      const wire = await this.#options.openWire({
        message: (message) => {
          this.#hear(decode(SessionResponseSchema, message, readSessionResponse));
        },
        drained: () => {
          this.#send();
        },
        closed: (error) => {
          this.#break(error ?? new ConnectError("the server ended the session", Code.Unavailable));
        },
      });
      if (this.#broken) {
        wire.cancel();
      } else {
        this.#wire = wire;
      }
    } catch (error) {
      this.#break(error);
    }
  }

  #finish(why: string): void {
    this.#ledger.end(why, undefined);
    this.#ending = true;
    this.#send();
  }

  #scheduleSend(urgent: boolean): void {
    if (this.#sendScheduled === "urgent" || (this.#sendScheduled === "soon" && !urgent)) {
      return;
    }
    this.#sendScheduled = urgent ? "urgent" : "soon";
    const send = (): void => {
      this.#sendScheduled = "no";
      this.#send();
    };
    if (urgent) {
      process.nextTick(send);
    } else {
      setImmediate(send);
    }
  }

  #send(): void {
    const wire = this.#wire;
    if (wire === undefined || this.#ended) {
      return;
    }
    while (wire.writable && (this.#ledger.hasOutgoing || this.#heartbeatDue)) {
      this.#heartbeatDue = false;
      wire.write(this.#message());
    }
    if (this.#ending && !this.#ledger.hasOutgoing) {
      this.#ended = true;
      wire.end();
    }
  }

  #message(): Uint8Array {
    const sentAtMs = this.#options.clock.now();
    while (this.#writer.length < messageBytes) {
      const command = this.#ledger.next(sentAtMs);
      if (command === undefined) {
        break;
      }
      writeSessionCommand(this.#writer, command);
    }
    return this.#writer.take();
  }

  #hear({ events, terms, draining }: SessionResponse): void {
    this.#receivedAtMs = this.#options.clock.now();
    if (this.#opening !== undefined) {
      if (terms === undefined) {
        throw new ConnectError("the server opened a session without naming its terms", Code.Internal);
      }
      this.#draining = draining;
      this.#watch(terms);
      this.#opening.resolve();
      this.#opening = undefined;
      return;
    }
    for (const event of events) {
      this.#ledger.handle(event);
    }
    if (draining) {
      this.#draining = true;
      this.#options.onDraining();
    }
  }

  /** Gives signs of life, and the stream up when the server gives none. */
  #watch(terms: SessionTerms): void {
    const { clock } = this.#options;
    const timeoutMs = Number(terms.timeoutMs);
    const leftMs = this.#receivedAtMs + timeoutMs - clock.now();
    this.#timer = clock.after(Math.min(Number(terms.heartbeatMs), leftMs), () => {
      if (clock.now() - this.#receivedAtMs >= timeoutMs) {
        this.#giveUp(new ConnectError(`the server gave no sign of life for ${timeoutMs} ms`, Code.Unavailable));
        return;
      }
      this.#heartbeatDue = true;
      this.#send();
      this.#watch(terms);
    });
  }

  #giveUp(reason: ConnectError): void {
    if (this.#broken) {
      return;
    }
    // To a server on Node, a request that is reset looks like one that ends well, after which it would keep nothing for a
    // client that comes back. Nor is the connection to be trusted any more.
    this.#options.disconnect(reason);
    this.#break(reason);
  }

  #break(error: unknown): void {
    if (this.#broken) {
      return;
    }
    this.#broken = true;
    this.#timer?.cancel();
    this.#wire?.cancel();
    this.#wire = undefined;
    this.#opening?.reject(error);
    this.#opening = undefined;
    const { rawMessage, code } = ConnectError.from(error);
    this.#ledger.end(rawMessage || Code[code], error);
    this.#onBroken();
  }
}
