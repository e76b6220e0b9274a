/** A promise that was broken. */
export interface Violation {
  readonly rule: Rule;
  /** What happened, with the asks and moments that find it in the journals. */
  readonly what: string;
}

/** The rules that must hold, whatever fails. */
export type Rule =
  | "holders leave room"
  | "tokens rise"
  | "grants are committed"
  | "holds are kept"
  | "one ticket an ask"
  | "unlocks take effect"
  | "force hits what was named"
  | "force is told"
  | "nothing is left"
  | "stale writes are refused"
  | "holders' writes are taken";

/** A moment in words for people: seconds since the machine started, to the microsecond. */
export function at(us: number): string {
  return `${(us / 1_000_000).toFixed(6)} s`;
}
