/** What the server keeps of the connection that a client has to it. */
export class Connection {
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

const connections = new WeakMap<object, Connection>();

/** @param carrier - the HTTP/2 session, or the socket of HTTP/1, that the connection is */
export function connectionOf(carrier: object): Connection {
  let connection = connections.get(carrier);
  if (connection === undefined) {
    connection = new Connection();
    connections.set(carrier, connection);
  }
  return connection;
}
