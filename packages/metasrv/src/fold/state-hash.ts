import type { StateHash } from "../model/command.js";
import type { Ticket } from "./ticket.js";

/** How many entries back a hash can be asked for. */
const kept = 1024;

/**
 * A hash of all tickets in a table, kept up to date as they come, change and go: the sum of a hash of each, so that their
 * order does not matter. It finds tables that have come apart; it is no protection against malice.
 */
export class TableHash {
  #low = 0;
  #high = 0;
  /** The hashes after the last entries, a ring. */
  readonly #revisions = new Float64Array(kept);
  readonly #lows = new Int32Array(kept);
  readonly #highs = new Int32Array(kept);
  #entries = 0;

  get low(): number {
    return this.#low >>> 0;
  }

  get high(): number {
    return this.#high >>> 0;
  }

  /** The ticket came into the table, or is back after a change. */
  add(ticket: Ticket): void {
    this.#count(ticket, 1);
    if (ticket.holds) {
      this.#countHold(ticket, 1);
    }
  }

  /** The ticket goes from the table, or is about to be changed. */
  subtract(ticket: Ticket): void {
    this.#count(ticket, -1);
    if (ticket.holds) {
      this.#countHold(ticket, -1);
    }
  }

  /** The ticket waited, and holds from now on. */
  granted(ticket: Ticket): void {
    this.#countHold(ticket, 1);
  }

  #count({ name, id, token, content, memberId, attempt }: Ticket, sign: 1 | -1): void {
    const texts = mixText(mixText(mixText(0x811c_9dc5, id), memberId), name);
    const rest = mix(mix(texts, content.ttlMs), (attempt << 1) | (content.resumable ? 1 : 0));
    const low = mix(rest, lowBits(token));
    this.#low = (this.#low + sign * low) | 0;
    this.#high = (this.#high + sign * mix(low ^ 0x9e37_79b1, content.owner.length)) | 0;
  }

  #countHold({ token }: Ticket, sign: 1 | -1): void {
    const hold = mix(0x85eb_ca77, lowBits(token));
    this.#low = (this.#low + sign * hold) | 0;
    this.#high = (this.#high + sign * mix(hold, 1)) | 0;
  }

  /** The table has everything up to this revision, and nothing after it. */
  mark(revision: bigint): void {
    const at = this.#entries % kept;
    this.#revisions[at] = Number(revision);
    this.#lows[at] = this.#low;
    this.#highs[at] = this.#high;
    this.#entries++;
  }

  /** Whether the table was another at that revision; false where that is not known any more. */
  differs(seen: StateHash): boolean {
    const revision = Number(seen.revision);
    for (let back = 1; back <= Math.min(kept, this.#entries); back++) {
      const at = (this.#entries - back) % kept;
      if ((this.#revisions[at] ?? 0) <= revision) {
        return ((this.#lows[at] ?? 0) ^ seen.low) !== 0 || ((this.#highs[at] ?? 0) ^ seen.high) !== 0;
      }
    }
    return false;
  }
}

function lowBits(token: bigint): number {
  return Number(BigInt.asUintN(32, token));
}

function mixText(sum: number, text: string): number {
  let result = sum;
  for (let at = 0; at < text.length; at++) {
    result = Math.imul(result ^ text.charCodeAt(at), 0x0100_0193);
  }
  return result ^ (result >>> 15);
}

function mix(sum: number, value: number): number {
  const result = Math.imul(sum ^ value, 0xcc9e2d51);
  return Math.imul(result ^ (result >>> 15), 0x1b873593);
}
