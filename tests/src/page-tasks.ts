import type { Page } from "playwright-core";

type Outcome = { readonly value: unknown } | { readonly error: string };

/** In the page. */
declare function tellOutcome(id: number, outcome: Outcome): Promise<void>;

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Runs in a page what takes time there, where `page.evaluate` may fail by no fault of the page: V8 says that a promise "was
 * collected" which has settled, if it collects before it has told the result (in Chromium 150; not in 156). So the page tells its
 * results itself.
 */
export class PageTasks {
  readonly #page: Page;
  readonly #pending = new Map<number, Pending>();
  #ids = 0;

  private constructor(page: Page) {
    this.#page = page;
  }

  /** Once for each page. */
  static async of(page: Page): Promise<PageTasks> {
    const tasks = new PageTasks(page);
    await page.exposeFunction("tellOutcome", (id: number, outcome: Outcome) => {
      tasks.#settle(id, outcome);
    });
    const gone = (): void => {
      for (const id of tasks.#pending.keys()) {
        tasks.#settle(id, { error: "the page was closed, or has crashed" });
      }
    };
    page.once("close", gone);
    page.once("crash", gone);
    return tasks;
  }

  /**
   * @param task - a function, or its source. It uses nothing from outside of itself but the page's global variables
   * @throws Error with what the task failed with, or that the page is gone
   */
  run<A, R>(task: (argument: A) => R | Promise<R>, argument: A): Promise<R>;
  run<R>(task: (() => Promise<R>) | string): Promise<R>;
  run<R>(task: ((argument?: unknown) => R | Promise<R>) | string, argument?: unknown): Promise<R> {
    const id = ++this.#ids;
    const outcome = new Promise<unknown>((resolve, reject) => this.#pending.set(id, { resolve, reject }));
    this.#begin(id, task.toString(), argument).catch((error: unknown) => {
      this.#settle(id, { error: String(error) });
    });
    return outcome as Promise<R>;
  }

  async #begin(id: number, source: string, argument: unknown): Promise<void> {
    const task = await this.#page.evaluateHandle<(argument: unknown) => unknown>(`(${source})`);
    await this.#page.evaluate(
      ({ id, task, argument }) => {
        // Nothing is returned, so there is no promise that V8 could collect.
        const run = async () => tellOutcome(id, { value: await task(argument) });
        run().catch((error: unknown) => tellOutcome(id, { error: String(error) }));
      },
      { id, task, argument },
    );
    await task.dispose();
  }

  #settle(id: number, outcome: Outcome): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if ("value" in outcome) {
      pending?.resolve(outcome.value);
    } else {
      pending?.reject(new Error(outcome.error));
    }
  }
}
