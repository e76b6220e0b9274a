import type { LockKey, LockName } from "../../packages/metasrv/src/model/ticket-ref.js";
import { checkKey } from "../../packages/metasrv/src/node/admission.js";
import type { Grant } from "../../packages/metasrv/src/node/claim.js";
import { type Belief, Beliefs, type BelievedPart, type Believer, namesOf } from "./beliefs.js";
import { History, type HistoryObserver, type TicketLife } from "./history.js";
import type { Revision } from "./store/simulated-store.js";
import type { Trace } from "./trace.js";

export type Invariant = "I1" | "I2" | "I3" | "I4" | "I5" | "I6" | "I7" | "I8" | "I9" | "code";

/** What was found wrong. */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
  readonly invariant: Invariant;

  constructor(invariant: Invariant, what: string) {
    super(`${invariant}: ${what}`);
    this.invariant = invariant;
  }
}

const maxNameBytes = 1024;

/** Where nothing fails, a client is told of its grant so soon after it holds, in milliseconds. */
const promptMs = 1_000;

/** Compares what nodes tell and what clients believe with what really happened in the log, at every step. */
export class Invariants {
  readonly #trace: Trace;
  readonly #now: () => number;
  readonly #beliefs: Beliefs;
  readonly #members = new Set<string>();
  readonly history: History;
  /** Set if nothing fails in this run, so that everybody is told at once: how long a message may take. */
  readonly #peaceMs: number | undefined;
  readonly #told = new Set<bigint>();
  /** Requests that nobody wants any more, and since when. */
  readonly #unwanted = new Map<string, number>();
  /** The tickets that an operator wants to be removed. */
  readonly #toForce = new Set<string>();
  /** The first violation. It is kept and not thrown, because the code under test might catch it. */
  violation: InvariantError | undefined;
  grants = 0;

  /**
   * @param peace - how long a message from a node may take to reach a client where nothing fails in this run, so that
   *   everybody is told at once; undefined where something fails
   */
  constructor(
    trace: Trace,
    now: () => number,
    believers: () => Iterable<Believer>,
    peace?: { readonly delayMs: number },
  ) {
    this.#peaceMs = peace?.delayMs;
    this.#trace = trace;
    this.#now = now;
    this.history = new History(now, this.#historyObserver);
    this.#beliefs = new Beliefs({
      history: this.history,
      now,
      believers,
      tellMs: peace === undefined ? Infinity : promptMs + peace.delayMs,
      fail: (invariant, what) => {
        this.fail(invariant, what);
      },
    });
  }

  /** The members whose keys are in the store. */
  get members(): ReadonlySet<string> {
    return this.#members;
  }

  committed(revision: Revision): void {
    this.#trace.add(`revision ${revision.revision.toString()}`);
    this.history.commit(revision);
  }

  /** A node tells of a grant. */
  told(node: string, grant: Grant): void {
    this.grants++;
    const { key, token } = grant;
    const { name, id, token: keyToken } = checkKey(key, maxNameBytes);
    this.#trace.add(`${node} tells of the grant of ${name}/${short(id)}, token ${token.toString()}`);
    const life = this.history.life(name, token);
    if (life?.id !== id || life.name !== name || keyToken !== token) {
      this.fail(
        "I2",
        `${node} told of token ${token.toString()} of ${name}, which no ticket ${short(id)} was created with`,
      );
      return;
    }
    if (life.heldSinceMs === undefined) {
      this.fail("I2", `${node} told of token ${token.toString()} of ${namesOf(life.parts)}, which has never held`);
    }
    const heldMs = this.#now() - (life.heldSinceMs ?? this.#now());
    if (this.#peaceMs !== undefined && !this.#told.has(token) && heldMs > promptMs) {
      this.fail(
        "I6",
        `${node} told of token ${token} of ${name} only ${Math.round(heldMs)} ms after it had begun to hold`,
      );
    }
    this.#told.add(token);
    this.#checkParts(node, grant, life);
  }

  /** What is told of each lock: nobody is overtaken, and its floor is its own. */
  #checkParts(node: string, { floor, parts }: Grant, life: TicketLife): void {
    const floors = parts.length === 0 ? [floor] : parts.map((part) => part.floor);
    if (floors.length !== life.parts.length || floors[0] !== floor) {
      this.fail("I2", `${node} told of ${parts.length} parts, the first with floor ${floor}, of ${describe(life)}`);
      return;
    }
    life.parts.forEach(({ name }, at) => {
      const waiting = this.history.firstWaiting(name);
      if (waiting !== undefined && waiting.token < life.token) {
        this.fail("I5", `${node} told of token ${life.token} of ${name} before ${waiting.token} was served`);
      }
      this.#checkFloor(node, name, floors[at] ?? 0n, life);
    });
  }

  /** A floor is the token of one that was admitted beside this ticket, and nobody who is has a lower one. */
  #checkFloor(node: string, name: LockName, floor: bigint, { token, heldSinceMs, removedAtMs }: TicketLife): void {
    const admittedSinceMs = this.history.admittedSinceMs(name, floor);
    const besideUntilMs = this.history.life(name, floor)?.removedAtMs ?? Infinity;
    const [first] = this.history.queue(name);
    if (admittedSinceMs === undefined || besideUntilMs < (heldSinceMs ?? 0)) {
      this.fail("I3", `${node} told of floor ${floor} of ${name}, of which no ticket held beside ${token}`);
    } else if (removedAtMs === undefined && first !== undefined && first.token < floor) {
      this.fail("I3", `${node} told of floor ${floor} of ${name}, and ${first.token} holds`);
    }
  }

  /** A client believes from now on that it holds locks. @param floors - what it was told of each */
  believes(client: string, belief: Belief, floors: readonly bigint[]): void {
    this.#trace.add(`${client} believes to hold ${namesOf(belief.parts)}, token ${belief.token.toString()}`);
    this.#beliefs.begin(client, belief, floors);
  }

  /** A client was told that it does not hold a lock any more. It may still have believed that it does. */
  lost(client: string, { name, token }: LockKey, news: "expired" | "released" | "forced", believed: boolean): void {
    this.#trace.add(`${client} is told that ${name}, token ${token.toString()}, is ${news}`);
    if (believed && news !== "forced") {
      this.fail(
        "I4",
        `${client} was told that token ${token.toString()} of ${name} is ${news} while it surely held it`,
      );
      return;
    }
    const { removedAtMs, forced = false } = this.history.life(name, token) ?? {};
    if (news !== "expired" && removedAtMs === undefined) {
      this.fail("I2", `${client} was told that token ${token.toString()} of ${name} is ${news}, but it is there`);
    } else if (news !== "expired" && forced !== (news === "forced")) {
      this.fail("I2", `${client} was told that token ${token} of ${name} is ${news}; forced: ${String(forced)}`);
    }
  }

  /** An operator is about to ask for a ticket to be removed. */
  forcing(name: LockName, token: bigint): void {
    this.#trace.add(`an operator wants token ${token} of ${name} to be removed`);
    this.#toForce.add(`${name}/${token}`);
  }

  /**
   * An operator was told whether a ticket was removed by force.
   *
   * @param sinceMs - when it was asked for
   */
  forced(name: LockName, token: bigint, done: boolean, sinceMs: number): void {
    this.#trace.add(`the operator is told that token ${token} of ${name} is ${done ? "" : "not "}removed`);
    const life = this.history.life(name, token);
    if (done && life?.forced !== true) {
      this.fail("I9", `an operator was told that token ${token} of ${name} is removed by force, which it is not`);
    } else if (!done && life !== undefined && (life.removedAtMs ?? Infinity) > this.#now() && life.sinceMs < sinceMs) {
      this.fail("I9", `an operator was told that there is no token ${token} of ${name}, but it is there`);
    }
  }

  /** The simulated time, which no clock shows, in milliseconds. */
  get nowMs(): number {
    return this.#now();
  }

  /**
   * A try-lock that was asked for at `sinceMs` was refused. So one of its locks must have had no room at some moment since then.
   */
  refused(client: string, parts: readonly BelievedPart[], sinceMs: number): void {
    if (this.history.hadRoomSince(parts, sinceMs)) {
      this.fail("I9", `${client} was refused ${namesOf(parts)}, which has had room for it since it asked`);
    }
  }

  /** A node ends itself, because it can no longer know who holds which lock. */
  fatal(node: string, error: Error): void {
    this.fail("code", `${node} ended itself: ${error.message}`);
  }

  /** Nobody wants any more what was asked for as this owner: it is released, lost or given up. The node is told. */
  unwanted(owner: string): void {
    if (this.#peaceMs !== undefined) {
      this.#unwanted.set(owner, this.#now());
    }
  }

  /** Where nothing fails, what nobody wants is soon gone: it neither waits nor is held. */
  checkUnwanted(): void {
    for (const [owner, sinceMs] of this.#unwanted) {
      if (this.#now() - sinceMs <= promptMs + (this.#peaceMs ?? 0)) {
        return;
      }
      this.#unwanted.delete(owner);
      const left = this.history.tickets().find((life) => life.owner === owner);
      if (left !== undefined) {
        this.fail("I7", `nobody wants ${namesOf(left.parts)} as ${owner} any more, but token ${left.token} is there`);
      }
    }
  }

  /** An unlock was answered with success. */
  unlocked(client: string, { name, token }: LockKey): void {
    if (this.history.life(name, token)?.removedAtMs === undefined) {
      this.fail("I8", `${client} was told that token ${token.toString()} of ${name} is released, but it is there`);
    }
  }

  /** A renewal that was asked for at `sinceMs` was answered with success. */
  renewed(client: string, { name, token }: LockKey, sinceMs: number): void {
    const life = this.history.life(name, token);
    if (life === undefined || (life.removedAtMs !== undefined && life.removedAtMs < sinceMs)) {
      this.fail("I9", `${client} was told that token ${token.toString()} of ${name} is renewed, but it is gone`);
    }
  }

  fail(invariant: Invariant, what: string): void {
    const error = new InvariantError(invariant, what);
    this.#trace.add(`VIOLATION ${error.message}`);
    this.violation ??= error;
  }

  readonly #historyObserver: HistoryObserver = {
    created: (life, others) => {
      this.#trace.add(`created ${describe(life)}`);
      this.#checkServed(life);
      for (const other of others) {
        if (other.token === life.token) {
          this.fail("I1", `two tickets of ${life.name} have the token ${life.token.toString()}: both hold`);
        } else if (other.token > life.token) {
          this.fail("I3", `${life.name} got token ${life.token.toString()} after ${other.token.toString()}`);
        }
        if (other.owner === life.owner && other.owner !== "") {
          this.fail("I7", `the request ${life.owner} has two tickets of ${life.name}: it waits for itself`);
        }
      }
    },
    changed: (life) => {
      this.#trace.add(`changed ${describe(life)}`);
      this.#checkServed(life);
    },
    removed: (life) => {
      this.#trace.add(`removed ${describe(life)}`);
      if (life.forced && !life.parts.some(({ name }) => this.#toForce.has(`${name}/${life.token}`))) {
        this.fail("I8", `token ${life.token} of ${life.name} was removed by force, which nobody had asked for`);
      }
      this.#beliefs.removed(life);
    },
    member: (id, lives) => {
      this.#trace.add(`member ${id} ${lives ? "joined" : "is gone"}`);
      if (lives) {
        this.#members.add(id);
      } else {
        this.#members.delete(id);
      }
    },
  };

  /** A ticket that a gone member serves would block others until the leader has given it a full TTL. */
  #checkServed({ name, token, memberId }: TicketLife): void {
    if (!this.#members.has(memberId)) {
      this.fail("I7", `token ${token.toString()} of ${name} was written for the member ${memberId}, which is gone`);
    }
  }

  /** See {@link Beliefs.check}. */
  checkBeliefs(): void {
    this.#beliefs.check();
  }
}

function describe({ parts, id, token, memberId }: TicketLife): string {
  return `${namesOf(parts)}/${short(id)} token ${token.toString()} of ${memberId.slice(-4)}`;
}

function short(id: string): string {
  return Buffer.from(id, "latin1").toString("hex", 0, 3);
}
