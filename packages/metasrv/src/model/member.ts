/** One running node. */
export interface Member {
  /** Where it can be reached, as host:port. */
  readonly address: string;
  readonly version: string;
  /** For people to read; no rule uses it. */
  readonly startedUnixMs: number;
  /** The highest level of log entries that it knows. */
  readonly level: number;
}

/** A member as the log holds it. The one with the lowest `createRevision` leads. */
export interface StoredMember {
  readonly id: string;
  readonly member: Member;
  readonly createRevision: bigint;
}
