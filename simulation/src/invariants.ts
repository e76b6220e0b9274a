import { decodeLockKey, type LockKey } from "../../packages/metasrv/src/model/lock-key.js";
import type { LockName } from "../../packages/metasrv/src/model/lock-name.js";
import type { Share } from "../../packages/metasrv/src/model/share.js";
import type { Grant } from "../../packages/metasrv/src/node/claim.js";
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

/** A lock that a client believes to hold, by which token, and how much of it. */
export interface Belief {
  readonly name: LockName;
  readonly token: bigint;
  readonly share: Share;
}

/** A client that may believe that it holds a lock. */
export interface Believer {
  readonly name: string;
  /** What it surely holds now, by its own clock. */
  belief(): Belief | undefined;
}

const maxNameBytes = 1024;

/** Where nothing fails, a client is told of its grant so soon after it holds, in milliseconds. */
const promptMs = 1_000;

/** Compares what nodes tell and what clients believe with what really happened in the log, at every step. */
export class Invariants {
  readonly #trace: Trace;
  readonly #now: () => number;
  readonly #believers: () => Iterable<Believer>;
  /** The highest floor that a resource was shown for each lock, by those who believed to hold it. */
  readonly #floors = new Map<LockName, bigint>();
  readonly #members = new Set<string>();
  readonly history: History;
  /** Whether nothing fails in this run, so that everybody is told at once. */
  readonly #inPeace: boolean;
  readonly #told = new Set<bigint>();
  /** The first violation. It is kept and not thrown, because the code under test might catch it. */
  violation: InvariantError | undefined;
  grants = 0;

  constructor(trace: Trace, now: () => number, believers: () => Iterable<Believer>, inPeace: boolean) {
    this.#inPeace = inPeace;
    this.#trace = trace;
    this.#now = now;
    this.#believers = believers;
    this.history = new History(now, this.#historyObserver);
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
  told(node: string, { key, token, floor }: Grant): void {
    this.grants++;
    const { name, id, token: keyToken } = decodeLockKey(key, maxNameBytes);
    this.#trace.add(`${node} tells of the grant of ${name}/${short(id)}, token ${token.toString()}`);
    const life = this.history.life(name, token);
    if (life?.id !== id || keyToken !== token) {
      this.fail(
        "I2",
        `${node} told of token ${token.toString()} of ${name}, which no ticket ${short(id)} was created with`,
      );
    } else if (life.heldSinceMs === undefined) {
      this.fail("I2", `${node} told of token ${token.toString()} of ${name}, which has never held`);
    }
    const heldMs = this.#now() - (life?.heldSinceMs ?? this.#now());
    if (this.#inPeace && !this.#told.has(token) && heldMs > promptMs) {
      this.fail(
        "I6",
        `${node} told of token ${token} of ${name} only ${Math.round(heldMs)} ms after it had begun to hold`,
      );
    }
    this.#told.add(token);
    const waiting = this.history.queue(name).find(({ heldSinceMs }) => heldSinceMs === undefined);
    if (waiting !== undefined && waiting.token < token) {
      this.fail("I5", `${node} told of token ${token} of ${name} before ${waiting.token} was served`);
    }
    this.#checkFloor(node, name, floor, token);
  }

  /** A floor is the token of one that held beside this ticket, and nobody who holds has a lower one. */
  #checkFloor(node: string, name: LockName, floor: bigint, token: bigint): void {
    const life = this.history.life(name, token);
    const beside = this.history.life(name, floor);
    const sinceMs = life?.heldSinceMs ?? 0;
    const [first] = this.history.queue(name);
    if (beside?.heldSinceMs === undefined || (beside.removedAtMs ?? Infinity) < sinceMs) {
      this.fail("I3", `${node} told of floor ${floor} of ${name}, of which no ticket held beside ${token}`);
    } else if (life?.removedAtMs === undefined && first !== undefined && first.token < floor) {
      this.fail("I3", `${node} told of floor ${floor} of ${name}, and ${first.token} holds`);
    }
  }

  /** A client believes from now on that it holds a lock. */
  believes(client: string, { name, token }: LockKey, floor: bigint): void {
    this.#trace.add(`${client} believes to hold ${name}, token ${token.toString()}`);
    const known = this.#floors.get(name) ?? 0n;
    if (token < known) {
      this.fail("I3", `${client} got token ${token} of ${name}, which a resource refuses since it was shown ${known}`);
    }
    this.#floors.set(name, floor > known ? floor : known);
    if (this.history.life(name, token)?.removedAtMs !== undefined) {
      this.fail("I4", `${client} believes to hold ${name} with token ${token.toString()}, which was removed before`);
    }
  }

  /** A client was told that it does not hold a lock any more. It may still have believed that it does. */
  lost(client: string, { name, token }: LockKey, news: "expired" | "released" | "forced", believed: boolean): void {
    this.#trace.add(`${client} is told that ${name}, token ${token.toString()}, is ${news}`);
    if (believed && news !== "forced") {
      this.fail(
        "I4",
        `${client} was told that token ${token.toString()} of ${name} is ${news} while it surely held it`,
      );
    } else if (news === "released" && this.history.life(name, token)?.removedAtMs === undefined) {
      this.fail("I2", `${client} was told that token ${token.toString()} of ${name} is released, but it is there`);
    }
  }

  /** The simulated time, which no clock shows, in milliseconds. */
  get nowMs(): number {
    return this.#now();
  }

  /**
   * A try-lock that was asked for at `sinceMs` was refused. So the lock must have had no room at some moment since then.
   */
  refused(client: string, name: LockName, share: Share, sinceMs: number): void {
    if (this.history.hadRoomSince(name, share, sinceMs)) {
      this.fail("I9", `${client} was refused ${name}, which has had room for it since it asked`);
    }
  }

  /** A node ends itself, because it can no longer know who holds which lock. */
  fatal(node: string, error: Error): void {
    this.fail("code", `${node} ended itself: ${error.message}`);
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
      for (const client of this.#believers()) {
        const belief = client.belief();
        if (belief?.name === life.name && belief.token === life.token) {
          this.fail(
            "I4",
            `token ${life.token.toString()} of ${life.name} was removed while ${client.name} believed to hold it`,
          );
        }
      }
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

  /** What clients believe at the same time to hold of one lock must leave room for each other, whatever the log says. */
  checkBeliefs(): void {
    const holders = new Map<LockName, { readonly names: string; readonly permits: number; readonly limit: number }>();
    for (const client of this.#believers()) {
      const belief = client.belief();
      if (belief !== undefined) {
        if (this.history.life(belief.name, belief.token)?.removedAtMs !== undefined) {
          this.fail("I4", `${client.name} believes to hold ${belief.name} with token ${belief.token}, which is gone`);
        }
        const others = holders.get(belief.name);
        const all = {
          names: others === undefined ? client.name : `${others.names} and ${client.name}`,
          permits: (others?.permits ?? 0) + belief.share.permits,
          limit: Math.min(others?.limit ?? Infinity, belief.share.limit),
        };
        if (all.permits > all.limit) {
          this.fail("I4", `${all.names} all believe to hold ${belief.name} at ${this.#now()}`);
        }
        holders.set(belief.name, all);
      }
    }
  }
}

function describe({ name, id, token, memberId }: TicketLife): string {
  return `${name}/${short(id)} token ${token.toString()} of ${memberId.slice(-4)}`;
}

function short(id: string): string {
  return Buffer.from(id, "latin1").toString("hex", 0, 3);
}
