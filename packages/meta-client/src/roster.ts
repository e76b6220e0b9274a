/** Something that a {@link Roster} can hold. It is in one roster at a time. */
export interface RosterMember {
  /** Its place in the roster. Only the roster uses it. */
  rosterPlace: number;
}

/**
 * A set of things that come and go quickly.
 *
 * A `Set` makes itself anew for every few hundred that were added and deleted. Once V8 has moved the old table to the
 * old generation, that table keeps alive what it held. With 512 calls in flight, half of all processor time went into
 * copying what was long over.
 */
export class Roster<T extends RosterMember> {
  readonly #members: T[] = [];

  get size(): number {
    return this.#members.length;
  }

  add(member: T): void {
    member.rosterPlace = this.#members.length;
    this.#members.push(member);
  }

  /** Does nothing if it is not there. */
  delete(member: T): void {
    const place = member.rosterPlace;
    if (this.#members[place] !== member) {
      return;
    }
    const last = this.#members.pop();
    if (last === undefined || last === member) {
      return;
    }
    this.#members[place] = last;
    last.rosterPlace = place;
  }

  /** All that are there now, in no particular order. */
  all(): T[] {
    return [...this.#members];
  }
}
