import type { Clock, Timer } from "@metasrv/wire";
import type { EventQueue, Scheduled } from "./event-queue.js";
import type { Random } from "./random.js";

interface Arrival extends Scheduled {
  readonly label: string;
  readonly run: () => void;
  readonly isTimer: boolean;
  cancelled: boolean;
}

/**
 * One process of a simulated machine. Its clock may run fast or slow. It can be stopped for a while (SIGSTOP), and
 * everything that arrives for it and all its timers then wait. It can be killed.
 */
export class SimulatedProcess {
  readonly name: string;
  readonly #queue: EventQueue;
  readonly #random: Random;
  readonly #rate: number;
  readonly #originMs: number;
  readonly #backlog: Arrival[] = [];
  #paused = false;
  #alive = true;

  /** @param rate - how many milliseconds its clock counts in a millisecond */
  constructor(queue: EventQueue, random: Random, name: string, rate: number) {
    this.#queue = queue;
    this.#random = random;
    this.name = name;
    this.#rate = rate;
    this.#originMs = Math.floor(random.between(1_000, 1_000_000));
  }

  get alive(): boolean {
    return this.#alive;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Whether it would answer now. */
  get responsive(): boolean {
    return this.#alive && !this.#paused;
  }

  /** The process's monotonic clock. It goes on while the process is stopped. */
  now(): number {
    return this.#originMs + this.#queue.nowMs * this.#rate;
  }

  /** A clock that shows the process's time, and knows how many of its own timers are set. */
  createClock(): ProcessClock {
    return new ProcessClock(this);
  }

  /** A timer on the process's clock. It fires a little late, as timers do, and never early. */
  timer(delayMs: number, label: string, run: () => void): Scheduled {
    const lateMs = this.#random.between(0.001, 2);
    return this.#arrive((Math.max(0, delayMs) + lateMs) / this.#rate, label, run, true);
  }

  /** Something arrives from outside. */
  arrive(delayMs: number, label: string, run: () => void): Scheduled {
    return this.#arrive(delayMs, label, run, false);
  }

  pause(): void {
    this.#paused = true;
  }

  /**
   * The process goes on. What has waited happens now: either timers first, or everything in the order of its coming.
   */
  resume(): void {
    if (!this.#paused) {
      return;
    }
    this.#paused = false;
    const backlog = this.#backlog.splice(0).filter(({ cancelled }) => !cancelled);
    const ordered = this.#random.chance(0.5)
      ? [...backlog.filter(({ isTimer }) => isTimer), ...backlog.filter(({ isTimer }) => !isTimer)]
      : backlog;
    for (const arrival of ordered) {
      this.#schedule(0, arrival);
    }
  }

  kill(): void {
    this.#alive = false;
    this.#backlog.length = 0;
  }

  #arrive(delayMs: number, label: string, run: () => void, isTimer: boolean): Scheduled {
    const arrival: Arrival = {
      label: `${this.name}: ${label}`,
      run,
      isTimer,
      cancelled: false,
      cancel() {
        this.cancelled = true;
      },
    };
    this.#schedule(delayMs, arrival);
    return arrival;
  }

  #schedule(delayMs: number, arrival: Arrival): void {
    const event = this.#queue.after(delayMs, arrival.label, () => {
      if (this.#paused && this.#alive) {
        this.#backlog.push(arrival);
      } else if (this.#alive) {
        arrival.run();
      }
    });
    arrival.cancel = () => {
      arrival.cancelled = true;
      event.cancel();
    };
  }
}

/** A clock of a process, as the code under test sees it. */
export class ProcessClock implements Clock {
  readonly #process: SimulatedProcess;
  readonly #timers = new Set<Scheduled>();

  constructor(process: SimulatedProcess) {
    this.#process = process;
  }

  /** Timers of this clock that are set. */
  get timers(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#process.now();
  }

  after(delayMs: number, callback: () => void): Timer {
    const timer = this.#process.timer(delayMs, `timer of ${delayMs.toFixed(0)} ms`, () => {
      this.#timers.delete(timer);
      callback();
    });
    this.#timers.add(timer);
    return {
      cancel: () => {
        this.#timers.delete(timer);
        timer.cancel();
      },
    };
  }
}
