import type { StoredMember } from "../log/ticket-log.js";

/** The live members: a pure function of the log, as the lock table is. The oldest leads. */
export class MemberTable {
  readonly #members = new Map<string, StoredMember>();
  #known = false;

  /** Whether the log was listed, so that these are the members and not merely none. */
  get known(): boolean {
    return this.#known;
  }

  has(id: string): boolean {
    return this.#members.has(id);
  }

  put(member: StoredMember): void {
    this.#members.set(member.id, member);
  }

  delete(id: string): void {
    this.#members.delete(id);
  }

  /** The log was listed anew: these members are all there are. */
  reset(members: readonly StoredMember[]): void {
    this.#known = true;
    this.#members.clear();
    for (const member of members) {
      this.#members.set(member.id, member);
    }
  }

  /** All of them, oldest first. */
  list(): StoredMember[] {
    return [...this.#members.values()].sort((a, b) => (a.createRevision < b.createRevision ? -1 : 1));
  }

  /** The member with the lowest create revision. */
  get leader(): StoredMember | undefined {
    let leader: StoredMember | undefined;
    for (const member of this.#members.values()) {
      if (leader === undefined || member.createRevision < leader.createRevision) {
        leader = member;
      }
    }
    return leader;
  }
}
