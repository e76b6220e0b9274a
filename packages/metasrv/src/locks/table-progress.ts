/** How far the table has come in the log, and who waits for it to come further. */
export class TableProgress {
  /** Of the last change or listing that the table took in. */
  #revision = 0n;
  /** Few at any time: only a renewal that came here ahead of its event waits. */
  #awaited: { readonly revision: bigint; readonly resolve: () => void }[] = [];
  /** Whether nobody is to wait any more, because the node stops. */
  #ended = false;

  /** Whether the table has come as far as the revision. */
  passed(revision: bigint): boolean {
    return this.#revision >= revision;
  }

  /** Resolves once the table has come as far as the revision and has settled, or will not any more. */
  reached(revision: bigint): Promise<void> {
    return new Promise((resolve) => {
      this.#awaited.push({ revision, resolve });
      this.settled();
    });
  }

  /** The table takes in the changes up to this revision, and may not have settled yet. */
  advance(revision: bigint): void {
    this.#revision = revision;
  }

  /** The table has concluded on all that it took in: whoever waited for it can look. */
  settled(): void {
    if (this.#awaited.length > 0) {
      const reached = this.#awaited.filter(({ revision }) => this.#ended || this.passed(revision));
      this.#awaited = this.#awaited.filter((awaited) => !reached.includes(awaited));
      for (const { resolve } of reached) {
        resolve();
      }
    }
  }

  /** Lets go whoever waits, or will. */
  end(): void {
    this.#ended = true;
    this.settled();
  }
}
