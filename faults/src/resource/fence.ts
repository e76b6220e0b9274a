/** Guards a resource: it keeps the highest token that has written, for each name, and refuses lower ones. */
export class Fence {
  readonly #highest = new Map<string, bigint>();

  /** Whether a write with this token is taken. If not, it returns the higher token. */
  judge(name: string, token: bigint): { readonly taken: true } | { readonly taken: false; readonly highest: bigint } {
    const highest = this.#highest.get(name) ?? 0n;
    if (token < highest) {
      return { taken: false, highest };
    }
    this.#highest.set(name, token);
    return { taken: true };
  }
}
