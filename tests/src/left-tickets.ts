import { until } from "@metasrv/testing";

/**
 * Checks that every test leaves no ticket behind. It reports each ticket that stays once, and not again after later
 * tests.
 */
export class LeftTickets {
  readonly #list: () => Promise<readonly string[]>;
  readonly #told = new Set<string>();

  /** @param list - names the tickets that exist */
  constructor(list: () => Promise<readonly string[]>) {
    this.#list = list;
  }

  /**
   * Waits until all tickets are gone.
   *
   * @throws Error that names those that stay
   */
  async gone(): Promise<void> {
    let left: string[] = [];
    const isEmpty = async (): Promise<boolean> => {
      left = (await this.#list()).filter((ticket) => !this.#told.has(ticket));
      return left.length === 0;
    };
    try {
      await until(isEmpty, { what: "the test's tickets to be gone" });
    } catch (error) {
      for (const ticket of left) {
        this.#told.add(ticket);
      }
      throw new Error(`left behind: ${left.join(", ")}`, { cause: error });
    }
  }
}
