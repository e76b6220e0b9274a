/** Guards a resource: it keeps the highest floor that it was shown, for each name, and refuses tokens below it. */
export class Fence {
  readonly #highest = new Map<string, bigint>();

  /** Whether a write with this token is taken. If not, it returns the floor above it. */
  judge(
    name: string,
    token: bigint,
    floor: bigint,
  ): { readonly taken: true } | { readonly taken: false; readonly highest: bigint } {
    const highest = this.#highest.get(name) ?? 0n;
    if (token < highest) {
      return { taken: false, highest };
    }
    this.#highest.set(name, floor > highest ? floor : highest);
    return { taken: true };
  }
}
