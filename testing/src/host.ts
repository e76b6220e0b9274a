/** A machine for a process, or what passes for one: a network namespace with an address of its own. */
export interface Host {
  /** Its address, without a port. */
  readonly address: string;
  /** The command line that comes before another to run it there, and turns into it: `["ip", "netns", "exec", name]`. */
  readonly enter: readonly string[];
}
