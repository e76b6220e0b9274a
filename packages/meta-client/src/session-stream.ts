import { Code, ConnectError } from "@connectrpc/connect";
import type { LockRequest, SessionResponse, SessionTerms } from "@metasrv/proto/metasrv/v1";
import { type Clock, FieldWriter, type Gather, type Timer, writeSessionCommand } from "@metasrv/wire";
import type { Cancellation } from "./cancellation.js";
import type { Holding, LockOutcome, Renewed } from "./grant.js";
import { SessionLedger } from "./session-ledger.js";
import type { SessionWire, SessionWireListener } from "./session-wire.js";

export interface SessionStreamOptions {
  readonly endpoint: string;
  readonly openWire: (listener: SessionWireListener) => Promise<SessionWire>;
  readonly clock: Clock;
  /** Gathers the requests that leave in one message. */
  readonly gather: Gather;
  /** As in `SessionLedgerOptions`. */
  readonly lastNumber?: number | undefined;
  /** Called whenever it changes whether the process should stay alive for this stream. At first it should not. */
  readonly holdProcess: (hold: boolean) => void;
  /** Breaks the connection under the stream. */
  readonly disconnect: (reason: ConnectError) => void;
  /**
   * Called when the server is about to stop. If it says so when the stream opens, {@link SessionStream.draining} is set
   * instead.
   */
  readonly onDraining: () => void;
}

/** When a message has become this long, the next one begins. That keeps messages far below what a server refuses. */
const messageBytes = 64 * 1024;

/** To handle so many events takes longer than a turn of the event loop costs. */
const manyEvents = 64;

/**
 * One session, for any number of calls at a time. Requests of one turn of the event loop leave in one message.
 * If an unlock is among them, the message leaves right after the callback that asked for the unlock. A stream that is
 * broken stays broken.
 */
export class SessionStream {
  readonly #options: SessionStreamOptions;
  readonly #ledger: SessionLedger;
  readonly #writer = new FieldWriter();
  #heartbeatDue = false;
  #receivedAtMs: number;
  /** Messages that are still to be handled. */
  readonly #waiting: SessionResponse[] = [];
  /** Whether nothing more is handled in this turn of the event loop. */
  #turnTaken = false;
  #timer: Timer | undefined;
  /** Set while the stream is open. */
  #wire: SessionWire | undefined;
  /** Set until the server has told its terms. */
  #opening: { readonly resolve: () => void; readonly reject: (error: unknown) => void } | undefined;
  #sendScheduled: "no" | "soon" | "urgent" = "no";
  #ending = false;
  /** Whether this side has ended: nothing more is written. */
  #ended = false;
  #draining = false;
  #broken = false;
  #onBroken: (reason: string) => void = () => undefined;
  /** Resolves with the reason once the stream is broken, or has ended. */
  readonly over = new Promise<string>((resolve) => {
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
      lastNumber: options.lastNumber,
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
   * Opens the stream; resolves once the server has told its terms.
   *
   * @throws ConnectError what it failed with
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
   * Ends the stream, so that the server forgets what it does for this client. Pending calls reject. Resolves once the
   * server has heard of it, or the stream is broken; at once if there is nothing to forget.
   */
  async end(): Promise<void> {
    if (this.#broken || this.#ledger.idle) {
      return;
    }
    this.#finish("the client was closed");
    this.#options.holdProcess(true);
    await this.over;
    this.#options.holdProcess(false);
  }

  /**
   * Ends the stream as soon as nothing is left to be done on it, because other servers are used from now on. Resolves
   * when the stream is over.
   *
   * @param withinMs - given when the server is about to stop: waits reject, so that they are asked for elsewhere,
   *   holders are told, and the rest may take this long; absent: waits and locks stay as long as they last
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
    await this.over;
    timer?.cancel();
  }

  /** Breaks the stream off, and the connection under it. Pending calls reject. */
  close(why = "the client was closed"): void {
    this.#giveUp(new ConnectError(why, Code.Canceled));
  }

  async #connect(): Promise<void> {
    try {
      const wire = await this.#options.openWire({
        message: (message) => {
          this.#hear(message);
        },
        drained: () => {
          this.#send();
        },
        closed: (error) => {
          this.#handleWaiting(Infinity);
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
    this.#options.gather(() => {
      this.#sendScheduled = "no";
      this.#send();
    }, urgent);
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

  #message(): Buffer {
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

  #hear(message: SessionResponse): void {
    const { terms, draining } = message;
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
    this.#waiting.push(message);
    if (!this.#turnTaken) {
      this.#handleWaiting();
    }
  }

  /**
   * Handles the messages that wait, until one has so many events. The others wait for a turn of their own: what it led to
   * leaves first, and the server works on that meanwhile.
   */
  #handleWaiting(mostEvents = manyEvents): void {
    this.#turnTaken = false;
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        this.#handle(next);
        if (next.events.length >= mostEvents) {
          this.#turnTaken = true;
          this.#options.gather(() => {
            this.#handleWaiting();
          }, false);
          return;
        }
      }
    } catch (error) {
      this.#giveUp(ConnectError.from(error));
    }
  }

  #handle({ events, draining }: SessionResponse): void {
    for (const event of events) {
      this.#ledger.handle(event);
    }
    if (draining) {
      this.#draining = true;
      this.#options.onDraining();
    }
  }

  /** Sends heartbeats, and gives the stream up when the server gives no sign of life. */
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
    // The connection is broken off, not only the stream. A server on Node cannot tell a stream that was reset from one
    // that ended well, and would then keep nothing for a client that comes back. The connection cannot be trusted any
    // more, either.
    this.#options.disconnect(reason);
    this.#break(reason);
  }

  #break(error: unknown): void {
    if (this.#broken) {
      return;
    }
    this.#broken = true;
    this.#waiting.length = 0;
    this.#timer?.cancel();
    this.#wire?.cancel();
    this.#wire = undefined;
    this.#opening?.reject(error);
    this.#opening = undefined;
    const { rawMessage, code } = ConnectError.from(error);
    const reason = rawMessage || Code[code];
    this.#ledger.end(reason, error);
    this.#onBroken(reason);
  }
}
