import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import type { LockRequest, SessionTerms } from "@metasrv/proto/metasrv/v1";
import type { Cancellation } from "./cancellation.js";
import type { Clock, Timer } from "./clock.js";
import type { LockOutcome, Renewed } from "./grant.js";
import type { Holding } from "./holding.js";
import { writeCommand } from "./session-codec.js";
import { SessionLedger } from "./session-ledger.js";
import { openSession, type SessionNews } from "./session-wire.js";
import { WireWriter } from "./wire-writer.js";

/** What a stream is made of. */
export interface SessionStreamOptions {
  readonly endpoint: string;
  readonly transport: Transport;
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
 * message. Once broken it stays so.
 */
export class SessionStream {
  readonly #options: SessionStreamOptions;
  readonly #ledger: SessionLedger;
  readonly #abort = new AbortController();
  readonly #writer = new WireWriter();
  #heartbeatDue = false;
  #receivedAtMs: number;
  #timer: Timer | undefined;
  #wake: (() => void) | undefined;
  #wakeScheduled = false;
  #ending = false;
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
      onOutgoing: () => {
        this.#scheduleWake();
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
  async open(): Promise<void> {
    const { transport, clock } = this.#options;
    const responses = openSession(transport, this.#requests(), this.#abort.signal);
    let terms;
    try {
      const first = await responses.next();
      if (first.done !== true) ({ terms, draining: this.#draining } = first.value);
      if (terms === undefined) {
        throw new ConnectError("the server opened a session without naming its terms", Code.Internal);
      }
    } catch (error) {
      this.#break(error);
      throw error;
    }
    this.#receivedAtMs = clock.now();
    this.#watch(terms);
    void this.#read(responses);
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
    if (this.#broken) return;
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
    if (this.#broken) return;
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

  #finish(why: string): void {
    this.#ledger.end(why, undefined);
    this.#ending = true;
    this.#wake?.();
  }

  #scheduleWake(): void {
    if (this.#wakeScheduled) return;
    this.#wakeScheduled = true;
    setImmediate(() => {
      this.#wakeScheduled = false;
      this.#wake?.();
    });
  }

  async *#requests(): AsyncGenerator<Uint8Array> {
    for (;;) {
      // Not a mere end: that would tell the server that this client does not come back for what it waits for.
      this.#abort.signal.throwIfAborted();
      if (this.#ledger.hasOutgoing || this.#heartbeatDue) {
        this.#heartbeatDue = false;
        yield this.#message();
      } else if (this.#ending) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  #message(): Uint8Array {
    const sentAtMs = this.#options.clock.now();
    while (this.#writer.length < messageBytes) {
      const command = this.#ledger.next(sentAtMs);
      if (command === undefined) break;
      writeCommand(this.#writer, command);
    }
    return this.#writer.take();
  }

  async #read(responses: AsyncIterable<SessionNews>): Promise<void> {
    try {
      for await (const { events, draining } of responses) {
        this.#receivedAtMs = this.#options.clock.now();
        for (const event of events) this.#ledger.handle(event);
        if (draining) {
          this.#draining = true;
          this.#options.onDraining();
        }
      }
      this.#break(new ConnectError("the server ended the session", Code.Unavailable));
    } catch (error) {
      this.#break(error);
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
      this.#wake?.();
      this.#watch(terms);
    });
  }

  #giveUp(reason: ConnectError): void {
    if (this.#broken) return;
    // To a server on Node, a request that is reset looks like one that ends well, after which it would keep nothing for a
    // client that comes back. Nor is the connection to be trusted any more.
    this.#options.disconnect(reason);
    this.#break(reason);
  }

  #break(error: unknown): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#timer?.cancel();
    this.#abort.abort(error);
    this.#wake?.();
    const { rawMessage, code } = ConnectError.from(error);
    this.#ledger.end(rawMessage || Code[code], error);
    this.#onBroken();
  }
}
