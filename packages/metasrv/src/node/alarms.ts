import type { Clock, Timer } from "@metasrv/wire";

/** Something that happens after a delay. An alarm is set once at a time. */
export abstract class Alarm {
  /** When it rings, on the clock. */
  ringsAtMs = 0;
  /** The alarms of the same delay, in the order in which they ring; undefined while it is not set. */
  alarms: AlarmList | undefined = undefined;
  earlier: Alarm | undefined = undefined;
  later: Alarm | undefined = undefined;

  /** Its time has come. It is not set any more. */
  abstract ring(): void;
}

/** The alarms of one delay: whichever was set first rings first. */
class AlarmList {
  readonly delayMs: number;
  first: Alarm | undefined = undefined;
  last: Alarm | undefined = undefined;
  timer: Timer | undefined = undefined;

  constructor(delayMs: number) {
    this.delayMs = delayMs;
  }
}

/**
 * Many timers with few different delays, such as the TTLs of locks. There is one timer of the clock for each delay, and
 * neither an object nor a closure for each alarm.
 */
export class Alarms {
  readonly #clock: Clock;
  readonly #lists = new Map<number, AlarmList>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Lets an alarm ring after `delayMs` milliseconds, and not at the time for which it was set before. */
  set(alarm: Alarm, delayMs: number): void {
    this.cancel(alarm);
    let list = this.#lists.get(delayMs);
    if (list === undefined) {
      list = new AlarmList(delayMs);
      this.#lists.set(delayMs, list);
    }
    alarm.ringsAtMs = this.#clock.now() + delayMs;
    alarm.alarms = list;
    alarm.earlier = list.last;
    if (list.last === undefined) {
      list.first = alarm;
    } else {
      list.last.later = alarm;
    }
    list.last = alarm;
    if (list.timer === undefined) {
      this.#wait(list, delayMs);
    }
  }

  /** Harmless when it is not set. */
  cancel(alarm: Alarm): void {
    const { alarms: list, earlier, later } = alarm;
    if (list === undefined) {
      return;
    }
    if (earlier === undefined) {
      list.first = later;
    } else {
      earlier.later = later;
    }
    if (later === undefined) {
      list.last = earlier;
    } else {
      later.earlier = earlier;
    }
    alarm.alarms = undefined;
    alarm.earlier = undefined;
    alarm.later = undefined;
  }

  /** Ends all timers; no alarm rings any more. */
  close(): void {
    for (const { timer } of this.#lists.values()) {
      timer?.cancel();
    }
    this.#lists.clear();
  }

  /** Cancelling an alarm does not cancel the timer: another alarm is likely to be set before the timer fires. */
  #wait(list: AlarmList, delayMs: number): void {
    list.timer = this.#clock.after(delayMs, () => {
      list.timer = undefined;
      this.#ring(list);
    });
  }

  #ring(list: AlarmList): void {
    const nowMs = this.#clock.now();
    for (let alarm = list.first; alarm !== undefined && alarm.ringsAtMs <= nowMs; alarm = list.first) {
      this.cancel(alarm);
      alarm.ring();
    }
    if (list.timer !== undefined) {
      return;
    }
    if (list.first === undefined) {
      this.#lists.delete(list.delayMs);
    } else {
      this.#wait(list, list.first.ringsAtMs - nowMs);
    }
  }
}
