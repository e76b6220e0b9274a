import type { StoredMember } from "../log/ticket-log.js";

/** The live members: a pure function of the log, as the lock table is. The oldest leads. */
export class MemberTable {
  readonly #members = new Map<string, StoredMember>();

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
    this.#members.clear();
    for (const member of members) {
      this.#members.set(member.id, member);
    }
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
