import type { Clock, Timer } from "@metasrv/wire";
import { findDeadlocks } from "../fold/deadlocks.js";
import type { Fold } from "../fold/fold.js";
import type { NameOrder } from "../fold/name-order.js";
import type { Ticket } from "../fold/queue.js";
import type { CommandLog } from "../log/command-log.js";
import { forcedKeptMs, type ForcedRecord } from "../model/command.js";
import { holdersShown, type LockState } from "../model/lock-errors.js";
import type { HeldTicket, Share } from "../model/ticket-content.js";
import type { LockName } from "../model/ticket-ref.js";

/** What one row says of a lock. */
export interface LockSummary {
  readonly name: LockName;
  readonly state: LockState;
  /** Of the first ticket; undefined when there is none. */
  readonly share: Share | undefined;
  /** How long the first waiter is seen to wait, in milliseconds; 0 when nobody waits. */
  readonly oldestWaitMs: number;
}

/** What is shown of a ticket: neither its id nor its key. */
export interface TicketInfo {
  readonly token: bigint;
  readonly share: Share;
  readonly holds: boolean;
  /** 1 for the next that is to hold; 0 for one that holds. */
  readonly position: number;
  readonly owner: string;
  readonly memberId: string;
  readonly ageMs: number;
  /** 0 for one that waits. */
  readonly heldMs: number;
  /** Whether the times are only since the log was read. */
  readonly timesAreMinimum: boolean;
  /** Undefined for one that waits, or that another node serves. */
  readonly expiresInMs: number | undefined;
  /** Whether its queue admits it, and it waits for others of its group. */
  readonly reserves: boolean;
  readonly labels: readonly (readonly [key: string, value: string])[];
  readonly value: string;
  /** Where several locks were asked for at once: all of them. */
  readonly parts: readonly LockName[];
  /** What its requester holds while it waits. */
  readonly within: readonly HeldTicket[];
}

/** A lock that somebody waits for. */
export interface BlockedLock {
  readonly lock: LockSummary;
  readonly waiter: TicketInfo;
  /** Those that are admitted, {@link holdersShown} at most. */
  readonly blockers: readonly TicketInfo[];
}

/** One request of several that wait for each other. */
export interface DeadlockedRequest {
  readonly name: LockName;
  readonly ticket: TicketInfo;
}

/** A page of locks. */
export interface PageRequest {
  readonly prefix: LockName;
  readonly pageSize: number;
  /** The last name of the page before; empty: from the beginning. */
  readonly after: LockName;
  /** As {@link Inspection.get}. */
  readonly minToken: bigint;
  /** Which locks may be shown; absent: all. The others are passed over, and no page ends at one of them. */
  readonly permits?: ((name: LockName) => boolean) | undefined;
}

/** What is listed. */
export interface ListRequest extends PageRequest {
  readonly waitingOnly: boolean;
}

/** What of those that wait is listed. */
export interface BlockedRequest extends PageRequest {
  /** Only those that are seen to wait so long. */
  readonly minWaitMs: number;
}

/** What an inspection works with. */
export interface InspectionParts {
  readonly fold: Fold;
  readonly log: Pick<CommandLog, "catchUp" | "figures">;
  readonly clock: Clock;
  /** The time of day, in milliseconds of Unix time. */
  readonly unixMs: () => number;
  /** When the hold of a ticket that this node serves ends unless it is renewed, by the clock. */
  readonly expiresAtMs: (ticket: Ticket) => number | undefined;
  /** For how long the event loop has not waited for anything so far, in milliseconds. */
  readonly loopActiveMs: () => number;
}

/** So many names are put in order at a time, and so many looked at. */
const namesAtOnce = 200;
const lookedAtOnce = 1_000;

/** For how long deadlocks are looked for at a time, in milliseconds. */
const searchedAtOnceMs = 2;

/**
 * While a server has nothing else to do, lists pause after each step for as long as it took; while it is busy all the time, for so many
 * times as long; and in proportion in between. So a list of a million locks does not hold up who wants one of them.
 */
const pauseFactor = 40;

/** For how long it is seen what else there is to do, in milliseconds. */
const seenMs = 200;

/** How long it takes to write out one lock of a page, and any step at least, in milliseconds, roughly. */
const writingMs = 0.01;
const leastMs = 0.1;

/** After this time without a list, in milliseconds, the names are not kept in order any more. */
const idleMs = 600_000;

/** Shows what is in the table, while it changes. */
export class Inspection {
  readonly #parts: InspectionParts;
  #idle: Timer | undefined;
  /** Before this time, no list goes on. */
  #pausedUntilMs = 0;
  /**
   * The part of the time in which there was something else to do, as it was seen last, from 0 to 1: in which entries were being
   * written, or the event loop did other things, whichever is more. A store that is slow makes the event loop idle, and lists must
   * not take from requesters, and from the store beside them, what they leave then.
   */
  #busy = 0;
  /** How often it was looked since then whether entries are being written, and how often they were. */
  #looks = 0;
  #writing = 0;
  /** Since when it is seen what the event loop does, for how long that had been active then, and with lists since then. */
  #seenSinceMs: number;
  #activeMs: number;
  #listedMs = 0;

  constructor(parts: InspectionParts) {
    this.#parts = parts;
    this.#seenSinceMs = parts.clock.now();
    this.#activeMs = parts.loopActiveMs();
  }

  /**
   * One lock and the first of its tickets.
   *
   * @param minToken - what was committed before this token was told is shown
   * @throws LockError `store-unavailable` when that is not known here and cannot be read
   */
  async get(
    name: LockName,
    minToken: bigint,
    maxTickets: number,
  ): Promise<{ readonly lock: LockSummary; readonly tickets: readonly TicketInfo[] }> {
    await this.#reach(minToken);
    const tickets: TicketInfo[] = [];
    let position = 0;
    for (const ticket of this.#parts.fold.queue(name)) {
      if (tickets.length === maxTickets) {
        break;
      }
      tickets.push(this.#show(ticket, ticket.admitted ? 0 : ++position));
    }
    return { lock: this.#summary(name), tickets };
  }

  /**
   * A page of locks in the order of their names.
   *
   * @returns the last name looked at, if there may be more after it
   * @throws LockError `store-unavailable` as {@link get}
   */
  async list(
    request: ListRequest,
  ): Promise<{ readonly locks: readonly LockSummary[]; readonly next: LockName | undefined }> {
    const { waitingOnly } = request;
    const { shown, next } = await this.#page(request, (name) => {
      return !waitingOnly || this.#parts.fold.waiters(name) > 0 ? this.#summary(name) : undefined;
    });
    return { locks: shown, next };
  }

  /**
   * A page of locks that somebody waits for, in the order of their names; on the first page, all deadlocks.
   *
   * @throws LockError `store-unavailable` as {@link get}
   */
  async blocked(request: BlockedRequest): Promise<{
    readonly locks: readonly BlockedLock[];
    readonly deadlocks: readonly (readonly DeadlockedRequest[])[];
    readonly next: LockName | undefined;
  }> {
    const { shown, next } = await this.#page(request, (name) => this.#blocked(name, request.minWaitMs));
    return { locks: shown, deadlocks: request.after === "" ? await this.#deadlocks() : [], next };
  }

  /**
   * A ticket by one of its locks and its token.
   *
   * @throws LockError `store-unavailable` as {@link get}
   */
  async ticket(name: LockName, token: bigint): Promise<TicketInfo | undefined> {
    await this.#reach(token);
    const ticket = this.#parts.fold.at(name, token);
    return ticket && this.#show(ticket, this.#parts.fold.state(ticket.name, ticket).position);
  }

  /**
   * Records of tickets that were removed by hand, the latest first.
   *
   * @param before - only records of places before this one
   * @param permits - which locks may be shown
   * @throws LockError `store-unavailable` as {@link get}
   */
  async forced(
    minToken: bigint,
    before: bigint | undefined,
    pageSize: number,
    permits: (name: LockName) => boolean = () => true,
  ): Promise<readonly ForcedRecord[]> {
    await this.#reach(minToken);
    return [...this.#parts.fold.forced.values()]
      .filter(
        (record) =>
          record.unixMs >= this.#parts.unixMs() - forcedKeptMs &&
          (before === undefined || record.place < before) &&
          permits(record.name),
      )
      .slice(-pageSize)
      .reverse();
  }

  async #page<T>(
    request: PageRequest,
    show: (name: LockName) => T | undefined,
  ): Promise<{ readonly shown: readonly T[]; readonly next: LockName | undefined }> {
    const { prefix, pageSize, minToken, permits } = request;
    await this.#reach(minToken);
    const shown: T[] = [];
    let { after } = request;
    for (;;) {
      const order = await this.#ordered();
      const beganAtMs = this.#parts.clock.now();
      let looked = 0;
      let isEnd = true;
      for (const name of order.from(after > prefix ? after : prefix)) {
        if (!name.startsWith(prefix)) {
          break;
        }
        if (name === after) {
          continue;
        }
        if (shown.length === pageSize || looked === lookedAtOnce) {
          isEnd = false;
          break;
        }
        looked++;
        after = name;
        const row = permits === undefined || permits(name) ? show(name) : undefined;
        if (row !== undefined) {
          shown.push(row);
        }
      }
      this.#worked(beganAtMs, shown.length);
      if (isEnd || shown.length === pageSize) {
        return { shown, next: isEnd ? undefined : after };
      }
    }
  }

  /** Ends its timer. */
  close(): void {
    this.#idle?.cancel();
  }

  async #reach(minToken: bigint): Promise<void> {
    const { fold, log } = this.#parts;
    if (fold.nextToken <= minToken) {
      await log.catchUp();
    }
  }

  /** The names in order. It begins again if the log is read anew meanwhile. */
  async #ordered(): Promise<NameOrder> {
    const { fold, clock } = this.#parts;
    this.#idle?.cancel();
    this.#idle = clock.after(idleMs, () => {
      fold.forgetNames();
    });
    for (;;) {
      await this.#pause();
      const names = fold.names();
      if (names.isComplete) {
        return names;
      }
      const beganAtMs = clock.now();
      names.step(namesAtOnce);
      this.#worked(beganAtMs, 0);
    }
  }

  /** @param shown - locks of a page, which are still to be written out */
  #worked(beganAtMs: number, shown: number): void {
    const nowMs = this.#parts.clock.now();
    const tookMs = nowMs - beganAtMs + shown * writingMs;
    this.#listedMs += tookMs;
    this.#looks++;
    this.#writing += (this.#parts.log.figures?.().entriesUnderWay ?? 0) > 0 ? 1 : 0;
    this.#see(nowMs);
    this.#pausedUntilMs = nowMs + Math.max(1, pauseFactor * this.#busy) * Math.max(tookMs, leastMs);
  }

  #see(nowMs: number): void {
    const passedMs = nowMs - this.#seenSinceMs;
    if (passedMs >= seenMs) {
      const activeMs = this.#parts.loopActiveMs();
      const active = (activeMs - this.#activeMs - this.#listedMs) / passedMs;
      this.#busy = Math.min(1, Math.max(0, active, this.#writing / this.#looks));
      this.#seenSinceMs = nowMs;
      this.#activeMs = activeMs;
      this.#listedMs = 0;
      this.#looks = 0;
      this.#writing = 0;
    }
  }

  /** Resolves when lists may go on. Others may have gone on before. */
  async #pause(): Promise<void> {
    const { clock } = this.#parts;
    for (;;) {
      const leftMs = this.#pausedUntilMs - clock.now();
      if (leftMs <= 0) {
        return;
      }
      await new Promise<void>((resolve) => {
        clock.after(leftMs, resolve);
      });
    }
  }

  /** One lock in a row; undefined if it has no ticket. */
  summary(name: LockName): LockSummary | undefined {
    const row = this.#summary(name);
    return row.share === undefined ? undefined : row;
  }

  #summary(name: LockName): LockSummary {
    const { state, share, oldestWaitMs } = this.#parts.fold.glance(name);
    return { name, state, share, oldestWaitMs };
  }

  #blocked(name: LockName, minWaitMs: number): BlockedLock | undefined {
    const { fold } = this.#parts;
    if (fold.waiters(name) === 0 || fold.oldestWaitMs(name) < minWaitMs) {
      return undefined;
    }
    const blockers: TicketInfo[] = [];
    for (const ticket of fold.queue(name)) {
      if (!ticket.admitted) {
        return { lock: this.#summary(name), waiter: this.#show(ticket, 1), blockers };
      }
      if (blockers.length < holdersShown) {
        blockers.push(this.#show(ticket, 0));
      }
    }
    return undefined;
  }

  async #deadlocks(): Promise<readonly (readonly DeadlockedRequest[])[]> {
    const { fold, clock } = this.#parts;
    const deadlocks: (readonly DeadlockedRequest[])[] = [];
    let beganAtMs = clock.now();
    for (const found of findDeadlocks(fold)) {
      if (found !== undefined) {
        deadlocks.push(found.map((ticket) => this.#deadlocked(ticket)));
      }
      if (clock.now() - beganAtMs > searchedAtOnceMs) {
        this.#worked(beganAtMs, 0);
        await this.#pause();
        beganAtMs = clock.now();
      }
    }
    return deadlocks;
  }

  #deadlocked(ticket: Ticket): DeadlockedRequest {
    const part = ticket.parts.find(({ admitted }) => !admitted) ?? ticket;
    return { name: part.name, ticket: this.#show(part, this.#parts.fold.state(part.name, part).position) };
  }

  #show(ticket: Ticket, position: number): TicketInfo {
    const { fold, clock, expiresAtMs } = this.#parts;
    const { token, content, holds, main } = ticket;
    const endMs = holds ? expiresAtMs(main) : undefined;
    return {
      token,
      share: content,
      holds,
      position,
      owner: main.content.owner,
      memberId: main.memberId,
      ageMs: fold.nowMs() - main.seenAtMs,
      heldMs: holds ? fold.nowMs() - main.heldAtMs : 0,
      timesAreMinimum: fold.wasThere(ticket),
      expiresInMs: endMs === undefined ? undefined : Math.max(0, Math.ceil(endMs - clock.now())),
      reserves: ticket.admitted && !holds,
      labels: main.content.extras?.labels ?? [],
      value: main.content.extras?.value ?? "",
      parts: ticket.group?.parts.map(({ name }) => name) ?? [],
      within: main.content.extras?.within ?? [],
    };
  }
}
