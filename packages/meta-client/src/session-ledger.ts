import { Code, ConnectError } from "@connectrpc/connect";
import type { LockRequest, SessionCommand, SessionEvent } from "@metasrv/proto/metasrv/v1";
import { NumberTable } from "@metasrv/wire";
import type { Cancellation } from "./cancellation.js";
import { Holding, type LockNews, type LockOutcome, newsOf, readGrant, type Renewed } from "./grant.js";
import { EndpointFailure } from "./lock-channel.js";
import { LockLostError } from "./meta-errors.js";
import type { SessionAnswer } from "./session-command.js";
import { AnswerTo, OutgoingCommand, PendingCommand, renewCommand, unlockCommand } from "./session-command.js";
import { errorOfFailure, translateError } from "./translate-error.js";

/** Whom a ledger tells, and what it needs. */
export interface SessionLedgerOptions {
  readonly endpoint: string;
  /** When the server last gave a sign of life. */
  readonly heardAtMs: () => number;
  /** Called when there is a command to send. An unlock is urgent, because others may wait for it. */
  readonly onOutgoing: (urgent: boolean) => void;
  /** Called whenever it changes whether somebody waits for an answer. */
  readonly onBusy: (busy: boolean) => void;
  /** The number before the one of the first command. Default: 0. */
  readonly lastNumber?: number | undefined;
}

const noBytes = new Uint8Array();

/**
 * The books of one session: the commands that are to be sent or answered, and the locks that the server serves on it.
 * It does no I/O and has no clock.
 */
export class SessionLedger {
  readonly #options: SessionLedgerOptions;
  /** The commands without an answer, and the locks that were granted or renewed here. */
  readonly #inUse: NumberTable<PendingCommand | Holding>;
  readonly #outgoing: OutgoingCommand[] = [];
  /** How many commands of {@link #outgoing} have left already. */
  #left = 0;
  #awaited = 0;
  #over: { readonly message: string; readonly cause: unknown } | undefined;
  #leaving: { readonly moving: boolean; readonly onLeft: () => void } | undefined;
  /** Whether the server was sent something that it does not answer, so that it may not have read it yet. */
  #unheard = false;
  /** How many waits are asked for at another server, while this server has not yet said that they are over here. */
  #moved = 0;
  readonly #withdraw = (pending: PendingCommand): void => {
    this.#withdrawn(pending);
  };

  constructor(options: SessionLedgerOptions) {
    this.#options = options;
    this.#inUse = new NumberTable(options.lastNumber);
  }

  /** Whether somebody waits for an answer. */
  get busy(): boolean {
    return this.#awaited > 0;
  }

  /** Whether there is a command to be sent. */
  get hasOutgoing(): boolean {
    return this.#left < this.#outgoing.length;
  }

  /** Whether a session that breaks now leaves nothing at the server, and nobody without an answer. */
  get idle(): boolean {
    return this.#inUse.size === 0 && !this.hasOutgoing && !this.#unheard;
  }

  lock(request: LockRequest, scope: Cancellation): Promise<LockOutcome> {
    return this.#ask({ case: "lock", value: request }, undefined, scope) as Promise<LockOutcome>;
  }

  unlock(holding: Holding, scope: Cancellation): Promise<void> {
    const { lock, key } = this.#subject(holding);
    return this.#ask(unlockCommand(lock, key), holding, scope) as Promise<undefined>;
  }

  renew(holding: Holding, ttlMs: number, scope: Cancellation): Promise<Renewed> {
    const { lock, key } = this.#subject(holding);
    return this.#ask(renewCommand(lock, key, BigInt(ttlMs), holding), holding, scope) as Promise<Renewed>;
  }

  /**
   * Takes the next command to send; undefined when there is none.
   *
   * @param sentAtMs - the time at which it leaves
   */
  next(sentAtMs: number): SessionCommand | undefined {
    let command;
    do {
      command = this.#outgoing[this.#left++];
    } while (command?.withdrawn === true);
    if (this.#left >= this.#outgoing.length) {
      this.#outgoing.length = 0;
      this.#left = 0;
    }
    if (command !== undefined) {
      command.sentAtMs = sentAtMs;
    }
    return command;
  }

  /** Handles an event from the server. */
  handle({ number, event, forced }: SessionEvent): void {
    const about = this.#inUse.get(number);
    if (event.case === "lost") {
      if (about instanceof Holding) {
        this.#lose(number, about, newsOf(event.value, forced));
      }
    } else if (about instanceof PendingCommand) {
      this.#inUse.delete(number);
      if (about.moved) {
        about.to.scope.unlisten(about);
        this.#moved--;
      } else {
        if (!about.withdrawn) {
          this.#letGo(about);
        }
        this.#settle(about, event);
      }
    } else if (event.case === "granted") {
      // The grant and the withdrawal of its request crossed on the way. Nobody wants the lock, so it is released.
      this.#tell(unlockCommand(0, event.value.key));
    }
    this.#checkLeft();
  }

  /**
   * Other servers are used from now on. Commands that are unanswered are still answered here.
   *
   * @param moving - whether this server is about to stop: waits reject, so that they are asked for elsewhere, and locks
   *   become `unwatched`. Otherwise waits and locks stay as long as they last.
   * @param onLeft - called once nothing is left to be done here: no command without an answer, and no lock unless
   *   `moving`
   */
  leave(moving: boolean, onLeft: () => void): void {
    this.#leaving = { moving, onLeft };
    for (const [number, about] of this.#inUse.entries()) {
      if (about instanceof Holding) {
        this.#hand(about, moving);
      } else if (moving && !about.withdrawn && (about.waits || about.sentAtMs === undefined)) {
        this.#move(number, about);
      }
    }
    this.#checkLeft();
  }

  /**
   * The session is over. Rejects the commands that somebody waits for, and tells the holders of its locks that nobody
   * watches over them any more.
   */
  end(message: string, cause: unknown): void {
    if (this.#over !== undefined) {
      return;
    }
    this.#over = { message, cause };
    for (const [number, about] of this.#inUse.entries()) {
      if (about instanceof Holding) {
        this.#lose(number, about, "unwatched");
      } else if (!about.withdrawn) {
        this.#letGo(about);
        about.withdrawn = true;
        about.to.reject(this.#failure(about.sentAtMs !== undefined));
      }
    }
  }

  /**
   * Rejects a wait, so that another server is asked. This server is not told: it would remove the ticket, and with it
   * the place in the queue.
   */
  #move(number: number, pending: PendingCommand): void {
    const sent = pending.sentAtMs !== undefined;
    this.#letGo(pending);
    pending.withdrawn = true;
    if (sent) {
      pending.moved = true;
      this.#moved++;
      // If the request ends before the other server has taken over the ticket, this server must forget the ticket.
      pending.to.scope.listen(pending);
    } else {
      this.#inUse.delete(number);
    }
    pending.to.reject(this.#failed("the server is about to stop", sent));
  }

  /**
   * From now on, commands name the lock by its key, as other servers know it. When this server says later that another
   * one serves the lock, that is no news to the holder.
   */
  #hand(holding: Holding, now: boolean): void {
    if (holding.servedBy !== this) {
      return;
    }
    holding.servedBy = undefined;
    if (now) {
      holding.tell("unwatched");
    }
  }

  #checkLeft(): void {
    if (this.#leaving === undefined || this.#awaited > 0 || this.#moved > 0) {
      return;
    }
    const { moving, onLeft } = this.#leaving;
    if (!moving && this.#inUse.size > 0) {
      return;
    }
    this.#leaving = undefined;
    onLeft();
  }

  #ask(command: SessionCommand["command"], holding: Holding | undefined, scope: Cancellation): Promise<SessionAnswer> {
    return new Promise((resolve, reject) => {
      scope.throwIfCancelled();
      if (this.#over !== undefined) {
        throw this.#failure(false);
      }
      this.#add(command, new AnswerTo(holding, scope, resolve, reject));
    });
  }

  #add(command: SessionCommand["command"], to: AnswerTo): void {
    const number = this.#inUse.next();
    const pending = new PendingCommand(number, command, to, this.#withdraw);
    this.#inUse.set(number, pending);
    to.scope.listen(pending);
    if (++this.#awaited === 1) {
      this.#options.onBusy(true);
    }
    this.#send(pending);
  }

  #send(command: OutgoingCommand): void {
    if (this.#over !== undefined) {
      return;
    }
    this.#outgoing.push(command);
    this.#options.onOutgoing(command.command.case === "unlock");
  }

  /** Sends a command whose outcome nobody waits for. */
  #tell(command: SessionCommand["command"]): void {
    this.#unheard = true;
    this.#send(new OutgoingCommand(this.#inUse.next(), command));
  }

  /** Nobody waits for the command's answer any more. */
  #letGo(pending: PendingCommand): void {
    pending.to.scope.unlisten(pending);
    if (--this.#awaited === 0) {
      this.#options.onBusy(false);
    }
  }

  #withdrawn(pending: PendingCommand): void {
    const { number, command, sentAtMs, to } = pending;
    if (pending.moved) {
      this.#moved--;
    } else {
      this.#letGo(pending);
    }
    // An unlock or a renewal that was sent may still take effect. Its answer tells whether the lock's number is still
    // in use.
    if (sentAtMs === undefined || command.case === "lock") {
      this.#inUse.delete(number);
    }
    if (sentAtMs !== undefined && command.case === "lock") {
      this.#tell({ case: "cancel", value: number });
    }
    to.reject(to.scope.reason);
    this.#checkLeft();
  }

  #settle(pending: PendingCommand, event: Exclude<SessionEvent["event"], { case: "lost" }>): void {
    const { number, to, sentAtMs = 0, lock } = pending;
    switch (event.case) {
      case "granted": {
        const grant = readGrant(event.value, sentAtMs);
        this.#serve(number, grant.holding);
        to.resolve({ kind: "granted", grant });
        break;
      }
      case "refused":
        to.resolve({ kind: "refused", state: event.value.state });
        break;
      case "unlocked":
        if (lock !== 0 && to.holding !== undefined) {
          this.#lose(lock, to.holding);
        }
        to.resolve(undefined);
        break;
      case "renewed":
        // A renewal that was withdrawn here must not count if the lock was renewed elsewhere since.
        if (lock === 0 && to.holding !== undefined && !(pending.withdrawn && to.holding.servedBy !== undefined)) {
          this.#serve(number, to.holding);
        }
        to.resolve({ ttlMs: Number(event.value.ttlMs), sentAtMs });
        break;
      case "failed":
        this.#fail(pending, errorOfFailure(event.value));
        break;
      case undefined:
        this.#fail(pending, new ConnectError("the answer is none that this client knows", Code.Internal));
    }
  }

  #fail({ to, lock, command, withdrawn }: PendingCommand, rpcError: ConnectError): void {
    const error = translateError(rpcError, { endpoint: this.#options.endpoint, sent: true });
    if (lock !== 0 && to.holding !== undefined && error instanceof LockLostError) {
      const { holding } = to;
      if (this.#inUse.get(lock) !== holding && !withdrawn) {
        // The server had given up the number before the command came. The lock may still be held, so the command is
        // sent again with the key.
        const { key } = holding;
        const again =
          command.case === "renew" ? renewCommand(0, key, command.value.ttlMs, holding) : unlockCommand(0, key);
        this.#add(again, to);
        return;
      }
      this.#lose(lock, holding);
    }
    to.reject(error);
  }

  #failure(maybeApplied: boolean): EndpointFailure {
    const { message = "", cause } = this.#over ?? {};
    return this.#failed(message, maybeApplied, cause);
  }

  #failed(message: string, sent: boolean, cause?: unknown): EndpointFailure {
    const { endpoint, heardAtMs } = this.#options;
    return new EndpointFailure(endpoint, message, sent, { cause, heardAtMs: sent ? heardAtMs() : undefined });
  }

  /** How a command names the lock: by its number if this session serves it, otherwise by its key. */
  #subject(holding: Holding): { lock: number; key: Uint8Array } {
    return holding.servedBy === this ? { lock: holding.servedAs, key: noBytes } : { lock: 0, key: holding.key };
  }

  #serve(number: number, holding: Holding): void {
    this.#inUse.set(number, holding);
    holding.servedBy = this;
    holding.servedAs = number;
    if (this.#leaving !== undefined) {
      this.#hand(holding, this.#leaving.moving);
    }
  }

  /** The server does not serve the lock under this number any more. */
  #lose(number: number, holding: Holding, news?: LockNews): void {
    if (this.#inUse.get(number) === holding) {
      this.#inUse.delete(number);
    }
    const here = holding.servedBy === this && holding.servedAs === number;
    if (here) {
      holding.servedBy = undefined;
    }
    // While the lock is served elsewhere, only a release counts, by force or not. What this server says of the lock's time or place may
    // be older than a renewal at the other server.
    if (news !== undefined && (here || news === "released" || typeof news === "object")) {
      holding.tell(news);
    }
  }
}
