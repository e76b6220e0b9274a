/** Things to dispose of, the last one first. */
export class CleanUp {
  readonly #things: AsyncDisposable[] = [];

  add<Thing extends AsyncDisposable>(thing: Thing): Thing {
    this.#things.push(thing);
    return thing;
  }

  /**
   * Disposes of everything, even if some of it fails.
   *
   * @throws the first failure
   */
  async run(): Promise<void> {
    const failures: unknown[] = [];
    for (let thing = this.#things.pop(); thing !== undefined; thing = this.#things.pop()) {
      try {
        await thing[Symbol.asyncDispose]();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) {
      throw failures[0];
    }
  }
}
