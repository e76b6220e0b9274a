import type { Connection } from "./caller.js";

/** Tells that a connection is about to end. */
export class ConnectionEnd {
  readonly #leaving = new Set<() => void>();
  #left = false;

  /** Whether it is about to end. */
  get left(): boolean {
    return this.#left;
  }

  /** Tells whoever uses the connection that it is about to end. */
  leave(): void {
    this.#left = true;
    for (const listener of [...this.#leaving]) {
      listener();
    }
    this.#leaving.clear();
  }

  /**
   * Calls back once when the connection is about to end, at once if it is already.
   *
   * @returns a function that takes the listener back
   */
  onLeave(listener: () => void): () => void {
    if (this.#left) {
      listener();
      return () => undefined;
    }
    this.#leaving.add(listener);
    return () => {
      this.#leaving.delete(listener);
    };
  }
}

const ends = new WeakMap<Connection, ConnectionEnd>();

/** The end of a connection; the same each time. */
export function endOf(connection: Connection): ConnectionEnd {
  let end = ends.get(connection);
  if (end === undefined) {
    end = new ConnectionEnd();
    ends.set(connection, end);
  }
  return end;
}
