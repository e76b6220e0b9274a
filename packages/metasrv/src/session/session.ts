import type {
  SessionCommand,
  SessionEvent,
  SessionRenew,
  SessionRequest,
  SessionResponse,
  SessionUnlock,
} from "@metasrv/proto/metasrv/v1";
import { type Gather, gatherByEventLoop, HashTable } from "@metasrv/wire";
import type { Identity, Permitted } from "../api/access.js";
import { claimRequest, renewalOf } from "../api/claim-messages.js";
import type { Locks } from "../api/locks.js";
import { toSessionFailure } from "../api/rpc-errors.js";
import { type ForcedBy, LockError, notHeld, shuttingDown } from "../model/lock-errors.js";
import type { OpenSession } from "./open-sessions.js";
import type { ServiceDependencies } from "./service-dependencies.js";
import { SessionLock, type SessionLockHost } from "./session-lock.js";
import { SessionOutbox } from "./session-outbox.js";
import { SessionPulse } from "./session-pulse.js";
import { SessionRequests } from "./session-requests.js";

/** The stream that carries a session's messages. */
export interface SessionCarrier {
  /** There may be something to send, or the session may be over. */
  wake(): void;
  /** Whether to read the session's requests: not while the client leaves too much unread. */
  read(on: boolean): void;
  /** Breaks the stream off, even if something is still to be sent. */
  reset(): void;
}

/** What sessions use. */
export type SessionDependencies = Pick<ServiceDependencies, "sessions" | "limits" | "clock" | "logger">;

/** How a session ends: with an error, or well. */
export interface SessionEnd {
  readonly error: Error | undefined;
}

/**
 * With more unread events than this, the client's commands are not read. Reading goes on when half of them are left.
 */
const maxUnreadEvents = 16_384;

/**
 * Commands in one message. All of them are executed in one turn of the event loop, and those that say nothing sensible take 4
 * bytes and as long as others: 262,000 of them, in 1 MiB, would hold everybody up for seconds.
 */
const mostCommands = 16_384;

/**
 * Many locks of one client on one stream, whatever carries the stream. Events that come in one turn of the event loop
 * go out together. A grant waits only for the end of the callback that brought it. While the client is still being
 * written to, events are gathered, too. No event waits for another one.
 */
export class Session implements SessionLockHost, OpenSession {
  /** Whose it is. */
  readonly identity: Identity | undefined;
  readonly #dependencies: SessionDependencies;
  readonly #permitted: Locks;
  readonly #carrier: SessionCarrier;
  readonly #gather: Gather;
  /** The locks asked for or held, by their numbers. */
  readonly #locks = new HashTable<number, SessionLock>((number) => number);
  /** Numbers of unlocks and renewals without an answer. */
  readonly #unanswered = new HashTable<number, true>((number) => number);
  readonly #outbox = new SessionOutbox();
  #termsDue = true;
  #heartbeatDue = false;
  #drainingDue = false;
  #wakeScheduled: "no" | "soon" | "urgent" = "no";
  #reading = true;
  readonly #pulse: SessionPulse;
  /** Absent unless each request is logged. */
  readonly #requests: SessionRequests | undefined;
  /** The client has ended its requests; what it asked for is still answered. */
  #ending = false;
  #over: SessionEnd | undefined;

  constructor(
    dependencies: SessionDependencies,
    { locks, identity }: Pick<Permitted, "locks" | "identity">,
    carrier: SessionCarrier,
    gather = gatherByEventLoop,
  ) {
    this.#dependencies = dependencies;
    this.#permitted = locks;
    this.identity = identity;
    this.#carrier = carrier;
    this.#gather = gather;
    this.#requests = dependencies.logger.isLevelEnabled("debug") ? new SessionRequests(dependencies) : undefined;
    this.#pulse = new SessionPulse({
      clock: dependencies.clock,
      limits: dependencies.limits,
      unread: () => this.#outbox.size,
      listening: () => this.#reading,
      beat: () => {
        this.#heartbeatDue = true;
        this.#scheduleWake();
      },
      giveUp: (error) => {
        this.break(error);
        carrier.reset();
      },
    });
    if (dependencies.sessions.draining) {
      this.#termsDue = false;
      this.break(shuttingDown());
    } else {
      dependencies.sessions.opened(this);
    }
  }

  /**
   * How the stream ends, well or with an error; undefined while the session goes on. Once it is set, nothing comes
   * beyond what {@link next} still has. For what the client did wrong, the error is a LockError `invalid-command` or
   * `not-reading`.
   */
  get over(): SessionEnd | undefined {
    return this.#over;
  }

  /** Takes the next message to send, if there is one. The first message tells the terms. */
  next(): SessionResponse | undefined {
    const { size } = this.#outbox;
    if (size === 0 && !this.#heartbeatDue && !this.#termsDue && !this.#drainingDue) {
      return undefined;
    }
    this.#pulse.read();
    this.#heartbeatDue = false;
    const message: SessionResponse = {
      $typeName: "metasrv.v1.SessionResponse",
      events: this.#outbox.take(),
      draining: this.#drainingDue,
    };
    this.#drainingDue = false;
    if (this.#termsDue) {
      this.#termsDue = false;
      const { heartbeatMs, sessionTimeoutMs, maxSessionCommands } = this.#dependencies.limits;
      message.terms = {
        $typeName: "metasrv.v1.SessionTerms",
        heartbeatMs: BigInt(heartbeatMs),
        timeoutMs: BigInt(sessionTimeoutMs),
        maxCommands: Math.min(maxSessionCommands, 2 ** 32 - 1),
      };
    }
    if (!this.#reading && this.#outbox.size <= maxUnreadEvents / 2) {
      this.#read(true);
    }
    return message;
  }

  /** Executes the commands of a message. */
  receive({ commands }: SessionRequest): void {
    this.#pulse.heard();
    if (commands.length > mostCommands) {
      this.break(
        new LockError(
          "invalid-command",
          `a message has ${commands.length} commands; send at most ${mostCommands}, and the others in further messages`,
        ),
      );
    }
    for (const command of commands) {
      if (this.#ending || this.#over !== undefined) {
        return;
      }
      this.#execute(command);
    }
    if (this.#reading && this.#outbox.size > maxUnreadEvents) {
      this.#read(false);
    }
  }

  /** Tells the client that this server is about to stop. */
  drain(): void {
    if (this.#over === undefined) {
      this.#drainingDue = true;
      this.#scheduleWake();
    }
  }

  /** The client has ended its requests. It still gets all answers except those to waits. */
  end(): void {
    if (this.#over !== undefined || this.#ending) {
      return;
    }
    this.#ending = true;
    this.#leave();
    this.#endIfAnswered();
  }

  /** The stream broke or must end. The client may come back for its waits. */
  break(error: Error | undefined): void {
    if (this.#over !== undefined) {
      return;
    }
    this.#finish(error);
    this.#leave();
  }

  push(number: number, event: SessionEvent["event"], forced?: ForcedBy): void {
    if (this.#over === undefined) {
      this.#requests?.answered(number, event);
      this.#dependencies.logger.trace({ number, event: event.case }, "session event");
      this.#outbox.push(
        forced === undefined
          ? { $typeName: "metasrv.v1.SessionEvent", number, event }
          : {
              $typeName: "metasrv.v1.SessionEvent",
              number,
              event,
              forced: { $typeName: "metasrv.v1.ForcedBy", ...forced },
            },
      );
      this.#scheduleWake(event.case === "granted");
    }
  }

  fail(number: number, error: unknown): void {
    this.push(number, { case: "failed", value: toSessionFailure(error, this.#dependencies.logger) });
  }

  forget(lock: SessionLock): void {
    this.#locks.delete(lock.number);
  }

  #execute(asked: SessionCommand): void {
    const { number, command } = asked;
    if (number === 0 || this.#locks.has(number) || this.#unanswered.has(number)) {
      this.break(
        new LockError("invalid-command", `number ${number} is 0 or in use; give each command a number of its own`),
      );
      return;
    }
    this.#requests?.asked(asked);
    try {
      switch (command.case) {
        case "lock": {
          this.#requireRoom(this.#locks.size + this.#unanswered.size);
          const request = claimRequest(command.value);
          if (request.ticketId === undefined) {
            throw new LockError("invalid-ticket-id", "the ticket id is absent; on a session, give 16 random bytes");
          }
          const lock = new SessionLock(this, number);
          lock.asked(this.#permitted.claim(request, lock));
          this.#locks.set(number, lock);
          break;
        }
        case "unlock":
          // A command that frees numbers needs no room among the locks.
          this.#requireRoom(this.#unanswered.size);
          this.#answer(number, this.#unlock(command.value), () => unlocked);
          break;
        case "renew":
          this.#renew(number, command.value);
          break;
        case "cancel":
          this.#locks.get(command.value)?.cancel();
          break;
        case undefined:
          throw new LockError(
            "invalid-command",
            "this server does not know the command; it may be older than the client",
          );
      }
    } catch (error) {
      this.fail(number, error);
    }
  }

  #requireRoom(used: number): void {
    const { maxSessionCommands } = this.#dependencies.limits;
    if (used >= maxSessionCommands) {
      throw new LockError(
        "too-many-commands",
        `this session has ${maxSessionCommands} commands and locks already, as many as are allowed; open another`,
      );
    }
  }

  async #unlock({ lock: number, key }: SessionUnlock): Promise<void> {
    if (number === 0) {
      await this.#permitted.unlock(key);
    } else {
      await this.#lock(number).release();
    }
  }

  #renew(number: number, command: SessionRenew): void {
    const { lock: held, key } = command;
    const renewal = renewalOf(command);
    if (held !== 0) {
      this.#requireRoom(this.#unanswered.size);
      this.#answer(number, this.#lock(held).renew(renewal), renewed);
      return;
    }
    this.#requireRoom(this.#locks.size + this.#unanswered.size);
    const lock = new SessionLock(this, number);
    const resumed = this.#permitted.resume(key, renewal, lock);
    this.#answer(
      number,
      resumed,
      (outcome) => renewed(outcome.ttlMs),
      ({ claim }) => {
        if (this.#ending || this.#over !== undefined) {
          claim.detach();
        } else {
          this.#locks.set(number, lock);
          lock.resumed(claim);
        }
      },
    );
  }

  #lock(number: number): SessionLock {
    const lock = this.#locks.get(number);
    if (lock === undefined) {
      throw notHeld();
    }
    return lock;
  }

  #answer<T>(
    number: number,
    outcome: Promise<T>,
    event: (value: T) => SessionEvent["event"],
    answered?: (value: T) => void,
  ): void {
    this.#unanswered.set(number, true);
    outcome.then(
      (value) => {
        this.#unanswered.delete(number);
        this.push(number, event(value));
        answered?.(value);
        this.#endIfAnswered();
      },
      (error: unknown) => {
        this.#unanswered.delete(number);
        this.fail(number, error);
        this.#endIfAnswered();
      },
    );
  }

  /**
   * Waits keep their place for the grace even if the client seems to have ended the session. When a client resets a
   * stream, the stream may end as if the client had ended it, before it breaks.
   */
  #leave(): void {
    for (const lock of this.#locks.values()) {
      lock.leave();
    }
    this.#locks.clear();
  }

  #finish(error: Error | undefined): void {
    this.#requests?.end();
    this.#over = { error };
    this.#pulse.stop();
    this.#dependencies.sessions.closed(this);
    this.#scheduleWake();
  }

  #endIfAnswered(): void {
    if (this.#ending && this.#over === undefined && this.#unanswered.size === 0) {
      this.#finish(undefined);
    }
  }

  #read(on: boolean): void {
    this.#reading = on;
    this.#carrier.read(on);
  }

  #scheduleWake(urgent = false): void {
    if (this.#wakeScheduled === "urgent" || (this.#wakeScheduled === "soon" && !urgent)) {
      return;
    }
    this.#wakeScheduled = urgent ? "urgent" : "soon";
    this.#gather(() => {
      this.#wakeScheduled = "no";
      this.#carrier.wake();
    }, urgent);
  }
}

const unlocked: SessionEvent["event"] = { case: "unlocked", value: { $typeName: "metasrv.v1.UnlockResponse" } };

function renewed(ttlMs: number): SessionEvent["event"] {
  return { case: "renewed", value: { $typeName: "metasrv.v1.RenewResponse", ttlMs: BigInt(ttlMs) } };
}
