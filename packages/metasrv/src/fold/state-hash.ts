import type { ForcedRecord, StateHash } from "../model/command.js";
import { isExclusive, type TicketExtras } from "../model/ticket-content.js";
import type { Ticket } from "./queue.js";

// Where code runs in a context of its own, as under Jest, looking up a global for each byte takes most of the time.
const { imul } = Math;

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
  readonly #sum = new Sum();

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

  /** A record came. */
  addRecord(record: ForcedRecord): void {
    this.#add(sumOfRecord(this.#sum, record), 1);
  }

  /** A record was dropped. */
  subtractRecord(record: ForcedRecord): void {
    this.#add(sumOfRecord(this.#sum, record), -1);
  }

  #count({ name, id, token, content, memberId, attempt }: Ticket, sign: 1 | -1): void {
    const sum = this.#sum.begin().text(id).text(memberId).text(name).text(content.owner);
    sum.number(content.ttlMs).number((attempt << 1) | (content.resumable ? 1 : 0));
    if (!isExclusive(content)) {
      // Servers of level 1 know no other tickets, and count these as they do.
      sum.number(content.permits).number(content.limit);
    }
    if (content.extras !== undefined) {
      addExtras(sum, content.extras);
    }
    this.#add(sum.number(lowBits(token)), sign);
  }

  #countHold({ token }: Ticket, sign: 1 | -1): void {
    this.#add(this.#sum.begin().number(lowBits(token)), sign);
  }

  #add({ low, high }: Sum, sign: 1 | -1): void {
    this.#low = (this.#low + sign * low) | 0;
    this.#high = (this.#high + sign * high) | 0;
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

function addExtras(sum: Sum, { others, labels, within, value }: TicketExtras): void {
  for (const { name, permits, limit } of others) {
    sum.text(name).number(permits).number(limit);
  }
  for (const [key, text] of labels) {
    sum.text(key).text(text);
  }
  for (const { name, token } of within) {
    sum.text(name).number(lowBits(token));
  }
  sum.text(value);
}

function sumOfRecord(sum: Sum, { name, token, owner, held, actor, reason, unixMs, place }: ForcedRecord): Sum {
  sum.begin().text(name).text(owner).text(actor).text(reason);
  return sum
    .number(lowBits(token))
    .number(lowBits(place))
    .number(held ? 1 : 0)
    .text(String(unixMs));
}

function lowBits(token: bigint): number {
  return Number(BigInt.asUintN(32, token));
}

/** Two 32-bit hashes of the same fields, by different numbers. */
class Sum {
  low = 0;
  high = 0;

  begin(): this {
    this.low = 0x811c_9dc5 | 0;
    this.high = 0x9e37_79b1 | 0;
    return this;
  }

  text(text: string): this {
    let { low, high } = this;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      low = imul(low ^ code, 0x0100_0193);
      high = imul(high ^ code, 0x85eb_ca77);
    }
    this.low = low;
    this.high = high;
    return this.number(text.length);
  }

  number(value: number): this {
    const low = imul(this.low ^ value, 0xcc9e_2d51);
    this.low = imul(low ^ (low >>> 15), 0x1b87_3593);
    const high = imul(this.high ^ value, 0xc2b2_ae3d);
    this.high = imul(high ^ (high >>> 13), 0x27d4_eb2f);
    return this;
  }
}
