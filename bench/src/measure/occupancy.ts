import type { Ask } from "../peers/ask.js";

interface Holders {
  exclusive: number;
  shared: number;
  permits: number;
}

/**
 * Who holds what, as the callers of one process see it: from the moment at which they know of their grant until they
 * begin to release. Those who hold at the same time here do so at the service, too, so that it must not have let in
 * one of them.
 */
export class Occupancy {
  readonly #held = new Map<string, Holders>();
  #count = 0;
  #peak = 0;

  /** @throws Error when somebody else holds what this must not be held beside */
  enter(ask: Ask): void {
    for (const name of namesOf(ask)) {
      const holders = this.#held.get(name) ?? { exclusive: 0, shared: 0, permits: 0 };
      this.#held.set(name, holders);
      add(holders, ask, 1);
      check(name, holders, ask);
    }
    this.#count++;
    this.#peak = Math.max(this.#peak, this.#count);
  }

  leave(ask: Ask): void {
    for (const name of namesOf(ask)) {
      const holders = this.#held.get(name);
      if (holders !== undefined) {
        add(holders, ask, -1);
      }
    }
    this.#count--;
  }

  /** How many there are now. */
  get count(): number {
    return this.#count;
  }

  /** The most holders at a time since this was read before. */
  takePeak(): number {
    const peak = this.#peak;
    this.#peak = this.#count;
    return peak;
  }
}

function namesOf(ask: Ask): readonly string[] {
  return ask.kind === "group" ? ask.names : [ask.name];
}

function add(holders: Holders, { kind }: Ask, count: number): void {
  switch (kind) {
    case "shared":
      holders.shared += count;
      break;
    case "permit":
      holders.permits += count;
      break;
    case "exclusive":
    case "group":
      holders.exclusive += count;
      break;
  }
}

function check(name: string, { exclusive, shared, permits }: Holders, ask: Ask): void {
  const limit = ask.kind === "permit" ? ask.limit : Infinity;
  if (permits > limit || exclusive > 1 || (exclusive === 1 && shared + permits > 0)) {
    throw new Error(`${name} is held by ${exclusive} alone, ${shared} that share it and ${permits} with a permit`);
  }
}
