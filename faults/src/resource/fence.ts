/** What guards a resource: for each name, the highest token that has written, below which nothing is taken. */
export class Fence {
  readonly #highest = new Map<string, bigint>();

  /** Whether a write with this token is taken; if not, which token is too high for it. */
  judge(name: string, token: bigint): { readonly taken: true } | { readonly taken: false; readonly highest: bigint } {
    const highest = this.#highest.get(name) ?? 0n;
    if (token < highest) {
      return { taken: false, highest };
    }
    this.#highest.set(name, token);
    return { taken: true };
  }
}
