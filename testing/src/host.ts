/** A machine for a process, or a network namespace with an address of its own that stands for one. */
export interface Host {
  /** Its address, without a port. */
  readonly address: string;
  /** A command line that runs another one there and replaces itself by it, such as `["ip", "netns", "exec", name]`. */
  readonly enter: readonly string[];
}
