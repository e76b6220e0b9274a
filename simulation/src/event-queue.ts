/** Something that will happen, unless it is cancelled. */
export interface Scheduled {
  cancel(): void;
}

/** Something that happens at one moment of simulated time. */
export class SimulatedEvent implements Scheduled {
  readonly atMs: number;
  readonly order: number;
  readonly label: string;
  readonly run: () => void;
  cancelled = false;

  constructor(atMs: number, order: number, label: string, run: () => void) {
    this.atMs = atMs;
    this.order = order;
    this.label = label;
    this.run = run;
  }

  cancel(): void {
    this.cancelled = true;
  }
}

/** Everything that will happen, in one order. It is the only source of time. */
export class EventQueue {
  #nowMs = 0;
  #order = 0;
  /** A binary heap: no event comes before the one at half its index. */
  readonly #heap: SimulatedEvent[] = [];

  /** The simulated time. No process knows it: each has a clock of its own. */
  get nowMs(): number {
    return this.#nowMs;
  }

  at(atMs: number, label: string, run: () => void): SimulatedEvent {
    const event = new SimulatedEvent(Math.max(atMs, this.#nowMs), this.#order++, label, run);
    let index = this.#heap.length;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = this.#heap[parent];
      if (above === undefined || !isBefore(event, above)) {
        break;
      }
      this.#heap[index] = above;
      index = parent;
    }
    this.#heap[index] = event;
    return event;
  }

  after(delayMs: number, label: string, run: () => void): SimulatedEvent {
    return this.at(this.#nowMs + delayMs, label, run);
  }

  /** Takes out the next event. Its time is now the simulated time. */
  next(): SimulatedEvent | undefined {
    for (;;) {
      const event = this.#pop();
      if (event?.cancelled !== true) {
        this.#nowMs = event?.atMs ?? this.#nowMs;
        return event;
      }
    }
  }

  #pop(): SimulatedEvent | undefined {
    const [first] = this.#heap;
    const last = this.#heap.pop();
    if (first === undefined || last === undefined || first === last) {
      return first;
    }
    let index = 0;
    for (;;) {
      const left = this.#heap[2 * index + 1];
      const right = this.#heap[2 * index + 2];
      const child = left !== undefined && right !== undefined && isBefore(right, left) ? right : left;
      if (child === undefined || !isBefore(child, last)) {
        break;
      }
      this.#heap[index] = child;
      index = child === left ? 2 * index + 1 : 2 * index + 2;
    }
    this.#heap[index] = last;
    return first;
  }
}

function isBefore(a: SimulatedEvent, b: SimulatedEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
