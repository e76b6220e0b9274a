import type { Share } from "../../packages/metasrv/src/model/ticket-content.js";
import type { LockName } from "../../packages/metasrv/src/model/ticket-ref.js";
import type { History, TicketLife } from "./history.js";
import type { Invariant } from "./invariants.js";

/** How much of one lock a client believes to hold. */
export interface BelievedPart extends Share {
  readonly name: LockName;
}

/** What a client believes to hold by a token: a lock, or several that it asked for at once. */
export interface Belief {
  readonly token: bigint;
  readonly parts: readonly BelievedPart[];
}

/** A client that may believe that it holds locks. */
export interface Believer {
  readonly name: string;
  /** Whether nodes tell it of a loss. Otherwise it learns of that when it renews. */
  readonly hears: boolean;
  /** As whom it asks for locks now; undefined while it does not wait. */
  readonly asksAs: string | undefined;
  /** What it surely holds now, by its own clock. */
  belief(): Belief | undefined;
}

/** What beliefs are compared with, and who has them. */
export interface BeliefsOptions {
  readonly history: History;
  readonly now: () => number;
  readonly believers: () => Iterable<Believer>;
  /** How long after a release by force whoever is told of losses may not know of it, in milliseconds; infinite where something fails. */
  readonly tellMs: number;
  readonly fail: (invariant: Invariant, what: string) => void;
}

interface Holders {
  readonly names: string;
  readonly permits: number;
  readonly limit: number;
}

/** Compares what clients believe to hold with each other, and with what happened in the log. */
export class Beliefs {
  readonly #options: BeliefsOptions;
  /** The highest floor that a resource was shown for each lock, by those who believed to hold it. */
  readonly #floors = new Map<LockName, bigint>();

  constructor(options: BeliefsOptions) {
    this.#options = options;
  }

  /** A client believes from now on that it holds locks. @param floors - what it was told of each */
  begin(client: string, { token, parts }: Belief, floors: readonly bigint[]): void {
    const { history, fail } = this.#options;
    const lives = new Set(parts.map(({ name }) => history.life(name, token)));
    const [life] = lives;
    const names = namesOf(parts);
    if (lives.size > 1 || life?.heldSinceMs === undefined || life.parts.length !== parts.length) {
      fail("I2", `${client} believes to hold ${names} by token ${token}, which has never held all of it, and no more`);
    } else if (life.removedAtMs !== undefined && !life.forced) {
      fail("I4", `${client} believes to hold ${names} with token ${token}, which was removed before`);
    }
    parts.forEach(({ name }, at) => {
      const known = this.#floors.get(name) ?? 0n;
      if (token < known && life?.forced !== true) {
        fail("I3", `${client} got token ${token} of ${name}, which a resource refuses since it was shown ${known}`);
      }
      const floor = floors[at] ?? 0n;
      this.#floors.set(name, floor > known ? floor : known);
    });
  }

  /** A ticket is gone from the log. */
  removed({ token, name, forced }: TicketLife): void {
    const { believers, fail } = this.#options;
    for (const client of forced ? [] : believers()) {
      const belief = client.belief();
      if (belief?.token === token && belief.parts.some((part) => part.name === name)) {
        fail("I4", `token ${token} of ${name} was removed while ${client.name} believed to hold it`);
      }
    }
  }

  /**
   * What clients believe at the same time to hold of one lock must leave room for each other, whatever the log says. What
   * an operator took by force does not count, and those who can be told of that soon know it.
   */
  check(): void {
    const { history, believers, fail, now } = this.#options;
    const holders = new Map<LockName, Holders>();
    for (const client of believers()) {
      const { token = 0n, parts = [] } = client.belief() ?? {};
      for (const part of parts) {
        const life = history.life(part.name, token);
        if (life?.forced !== true) {
          if (life?.removedAtMs !== undefined) {
            fail("I4", `${client.name} believes to hold ${part.name} with token ${token}, which is gone`);
          }
          this.#count(holders, client, part);
        } else if (client.hears && this.#shouldKnow(life)) {
          fail("I6", `${client.name} was not told that token ${token} of ${part.name} was taken by force, at ${now()}`);
        }
      }
    }
    this.#checkWaits();
  }

  #count(holders: Map<LockName, Holders>, client: Believer, part: BelievedPart): void {
    const others = holders.get(part.name);
    const all = {
      names: others === undefined ? client.name : `${others.names} and ${client.name}`,
      permits: (others?.permits ?? 0) + part.permits,
      limit: Math.min(others?.limit ?? Infinity, part.limit),
    };
    if (all.permits > all.limit) {
      this.#options.fail("I4", `${all.names} all believe to hold ${part.name} at ${this.#options.now()}`);
    }
    holders.set(part.name, all);
  }

  /** Nobody waits for a ticket that was removed by force, unless it asked again. */
  #checkWaits(): void {
    const { history, believers, fail, tellMs } = this.#options;
    const forced = tellMs === Infinity ? [] : history.gone.filter((life) => life.forced && this.#shouldKnow(life));
    if (forced.length > 0) {
      const asked = new Set(history.tickets().map(({ owner }) => owner));
      for (const { name, asksAs } of believers()) {
        const life = forced.find(({ owner }) => owner === asksAs);
        if (life !== undefined && !asked.has(life.owner)) {
          fail("I6", `${name} still waits for token ${life.token} of ${life.name}, which was taken by force`);
        }
      }
    }
  }

  #shouldKnow({ removedAtMs }: TicketLife): boolean {
    const { now, tellMs } = this.#options;
    return removedAtMs !== undefined && now() - removedAtMs > tellMs;
  }
}

/** The locks, in words for people. */
export function namesOf(parts: readonly { readonly name: string }[]): string {
  return parts.map(({ name }) => name).join(" and ");
}
