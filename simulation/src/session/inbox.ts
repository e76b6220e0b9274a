/** What arrives, for a reader that takes it as it comes. */
export class Inbox<Message> {
  readonly #messages: Message[] = [];
  #closed: { readonly error: Error | undefined } | undefined;
  #wake: () => void = () => undefined;

  push(message: Message): void {
    this.#messages.push(message);
    this.#wake();
  }

  /** Nothing more comes. @param error - what the reader gets instead; absent: its loop ends */
  close(error: Error | undefined): void {
    this.#closed ??= { error };
    this.#wake();
  }

  async *all(): AsyncGenerator<Message, void, undefined> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) {
        yield message;
      } else if (this.#closed?.error !== undefined) {
        throw this.#closed.error;
      } else if (this.#closed !== undefined) {
        return;
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    }
  }
}
