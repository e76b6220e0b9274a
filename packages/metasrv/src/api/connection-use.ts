import type { Connection } from "./caller.js";

/** What a client uses of a connection. */
export class ConnectionUse {
  /** How many watches it has. */
  watches = 0;
  /** How many of the bytes that it has brought are accounted for by its calls and sessions; at least as many as those got. */
  usefulBytes = 0;

  /** Accounts for a part of a message, with the frame around it. */
  brought(length: number): void {
    this.usefulBytes += 2 * length + 64;
  }
}

const uses = new WeakMap<Connection, ConnectionUse>();

/** What is used of a connection; the same each time. */
export function useOf(connection: Connection): ConnectionUse {
  let use = uses.get(connection);
  if (use === undefined) {
    use = new ConnectionUse();
    uses.set(connection, use);
  }
  return use;
}
