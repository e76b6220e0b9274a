import { bootMs, callAfterTurn, callNext, holdProcess } from "./platform.js";
import { Roster, type RosterMember } from "./roster.js";

/** A timer that has been set and can be taken back. */
export interface Timer {
  cancel(): void;
}

/**
 * Time that never goes back, and goes on while the machine is suspended. It is passed in, so that tests can control it. No
 * time of day decides anything.
 */
export interface Clock {
  /** Milliseconds, with fractions, since an arbitrary moment. */
  now(): number;
  /**
   * Calls back once, not earlier than `delayMs` from now by {@link now}.
   *
   * @param delayMs - at most {@link longestTimerMs}
   * @param holdsProcess - whether the process stays alive for this timer; absent: as the clock does by default
   */
  after(delayMs: number, callback: () => void, holdsProcess?: boolean): Timer;
  /**
   * By how much {@link now} is ahead of `performance.now()`, because the machine was suspended, in milliseconds. Absent: they
   * have nothing to do with each other.
   */
  readonly suspendedMs?: number;
}

/**
 * The longest delay of a timer, about 24 days: as long as Node can wait, less the millisecond that the clocks here add.
 */
export const longestTimerMs = 2 ** 31 - 2;

/** The times that a machine has, in milliseconds. */
export interface MachineTimes {
  /** Stands still while the machine is suspended, as `performance.now()` and Node's timers do on Linux. */
  monotonic(): number;
  /** Goes on while it is suspended. Reading it takes some microseconds, and it is right to about 10 ms. */
  boot(): number;
  /** The time of day, which anybody may set. A jump of it is only a reason to read the others. */
  day(): number;
}

/** Times of day that differ by less are not looked into. */
const jumpMs = 100;
/** Boot times that differ by less are taken for the same. */
const leastSuspensionMs = 50;
/** Two clocks that are read one after the other belong together if that took less. */
const longestReadMs = 10;
/**
 * How often a process with timers finds out by itself whether the machine was suspended, in milliseconds. Timers that are due
 * later than twice that are left without one of Node's until then: most are cancelled before, and cost next to nothing.
 */
const lookMs = 50;

/** The time of a process, which goes on while its machine is suspended, and its timers. */
export class ProcessTime {
  readonly #times: MachineTimes;
  /** What the clocks differed by at first, and when it was looked last. */
  readonly #bootOffsetMs: number;
  #dayOffsetMs: number;
  #suspendedMs = 0;
  readonly #timers = new Roster<SystemTimer>();
  /** Timers that are left without one of Node's. */
  readonly #young = new Roster<SystemTimer>();
  #looking: NodeJS.Timeout | undefined;

  constructor(times: MachineTimes) {
    this.#times = times;
    this.#bootOffsetMs = this.#readOffsetMs();
    this.#dayOffsetMs = times.day() - times.monotonic();
  }

  /** For how long the machine has been suspended since the process began, in milliseconds. */
  get suspendedMs(): number {
    this.now();
    return this.#suspendedMs;
  }

  now(): number {
    const monotonicMs = this.#times.monotonic();
    const driftMs = this.#times.day() - monotonicMs - this.#dayOffsetMs;
    if (driftMs > jumpMs || driftMs < -jumpMs) {
      this.#look(monotonicMs, driftMs);
    }
    return monotonicMs + this.#suspendedMs;
  }

  /** A clock that shows this time. @param holdsByDefault - whether its timers keep the process alive */
  clock(holdsByDefault: boolean): Clock {
    const suspendedMs = (): number => this.suspendedMs;
    return {
      get suspendedMs() {
        return suspendedMs();
      },
      now: () => this.now(),
      after: (delayMs, callback, holdsProcess = holdsByDefault) => {
        return new SystemTimer(this, delayMs, callback, holdsProcess);
      },
    };
  }

  /** The timer counts from now on. */
  begin(timer: SystemTimer, nowMs: number): void {
    this.#looking ??= this.#startLooking();
    if (timer.dueMs - nowMs <= 2 * lookMs) {
      this.#timers.add(timer);
      timer.start(nowMs);
      return;
    }
    this.#young.add(timer);
    if (timer.holdsProcess) {
      holdProcess(this.#looking, true);
    }
  }

  /** The timer does not count any more. */
  end(timer: SystemTimer): void {
    this.#timers.delete(timer);
    this.#young.delete(timer);
  }

  #startLooking(): NodeJS.Timeout {
    const looking = setInterval(() => {
      this.#tick();
    }, lookMs);
    holdProcess(looking, false);
    return looking;
  }

  #tick(): void {
    this.#startYoung(this.now());
    if (this.#looking !== undefined) {
      holdProcess(this.#looking, false);
    }
    if (this.#timers.size === 0) {
      clearInterval(this.#looking);
      this.#looking = undefined;
    }
  }

  #startYoung(nowMs: number): void {
    for (const timer of this.#young.all()) {
      this.#young.delete(timer);
      this.#timers.add(timer);
      timer.start(nowMs);
    }
  }

  #look(monotonicMs: number, driftMs: number): void {
    this.#dayOffsetMs += driftMs;
    const suspendedMs = this.#readOffsetMs() - this.#bootOffsetMs;
    if (suspendedMs < this.#suspendedMs + leastSuspensionMs) {
      return;
    }
    this.#suspendedMs = suspendedMs;
    const nowMs = monotonicMs + suspendedMs;
    // Node's timers have stood still meanwhile.
    for (const timer of this.#timers.all()) {
      timer.start(nowMs);
    }
    this.#startYoung(nowMs);
  }

  /** By how much the boot time is ahead. They are read again if the process was stopped between the two. */
  #readOffsetMs(): number {
    for (;;) {
      const beforeMs = this.#times.monotonic();
      const offsetMs = this.#times.boot() - beforeMs;
      if (this.#times.monotonic() - beforeMs < longestReadMs) {
        return offsetMs;
      }
    }
  }
}

const processTime = new ProcessTime({
  monotonic: () => performance.now(),
  boot: bootMs,
  day: () => Date.now(),
});

/** The clock of this process. Its timers keep the process alive. */
export const systemClock: Clock = processTime.clock(true);

/** The clock of this process. Its timers do not keep the process alive. */
export const backgroundClock: Clock = processTime.clock(false);

class SystemTimer implements Timer, RosterMember {
  rosterPlace = 0;
  readonly dueMs: number;
  readonly holdsProcess: boolean;
  readonly #time: ProcessTime;
  readonly #callback: () => void;
  #timeout: NodeJS.Timeout | undefined;

  constructor(time: ProcessTime, delayMs: number, callback: () => void, holdsProcess: boolean) {
    this.#time = time;
    this.#callback = callback;
    this.holdsProcess = holdsProcess;
    const nowMs = time.now();
    this.dueMs = nowMs + delayMs;
    time.begin(this, nowMs);
  }

  /** Gives it one of Node's timers, which waits until it is due, from now on. */
  start(nowMs: number): void {
    clearTimeout(this.#timeout);
    // Node counts whole milliseconds from a cached time, so its timer can fire up to one millisecond early.
    this.#timeout = setTimeout(
      () => {
        this.#time.end(this);
        this.#callback();
      },
      Math.ceil(Math.max(0, this.dueMs - nowMs)) + 1,
    );
    if (!this.holdsProcess) {
      holdProcess(this.#timeout, false);
    }
  }

  cancel(): void {
    clearTimeout(this.#timeout);
    this.#time.end(this);
  }
}

/** Calls back once `clock.now()` has reached `atMs`, however far away that is, and never before this returns. */
export function callAt(clock: Clock, atMs: number, callback: () => void): Timer {
  const delayMs = Math.max(atMs - clock.now(), 0);
  return delayMs <= longestTimerMs ? clock.after(delayMs, callback) : new DistantTimer(clock, atMs, callback);
}

class DistantTimer implements Timer {
  readonly #clock: Clock;
  readonly #atMs: number;
  readonly #callback: () => void;
  #timer: Timer;

  constructor(clock: Clock, atMs: number, callback: () => void) {
    this.#clock = clock;
    this.#atMs = atMs;
    this.#callback = callback;
    this.#timer = this.#arm();
  }

  cancel(): void {
    this.#timer.cancel();
  }

  #arm(): Timer {
    const delayMs = Math.min(Math.max(this.#atMs - this.#clock.now(), 0), longestTimerMs);
    return this.#clock.after(delayMs, () => {
      if (this.#clock.now() >= this.#atMs) {
        this.#callback();
      } else {
        this.#timer = this.#arm();
      }
    });
  }
}

/**
 * Calls `done` soon, so that what comes close together goes out together. It calls after this turn of the event loop,
 * in which all connections are read. If `urgent`, it calls after the callback that is running.
 */
export type Gather = (done: () => void, urgent: boolean) => void;

/** Gathers by the event loop of this process. */
export const gatherByEventLoop: Gather = (done, urgent) => {
  if (urgent) {
    callNext(done);
  } else {
    callAfterTurn(done);
  }
};
