import type { StoreLink } from "./store-link.js";

/** Told what comes on a stream; `closed` is called once, and last. */
export interface StoreStreamListener<Response> {
  response(response: Response): void;
  closed(error: Error): void;
}

/** A stream from a node to the store: one request, and answers in the order in which they were sent. */
export class StoreStream<Response> {
  readonly #link: StoreLink;
  readonly #listener: StoreStreamListener<Response>;
  readonly #outbox: Response[] = [];
  #pumping = false;
  #closed = false;
  /** Whether nothing comes any more although the stream is not broken. */
  silent = false;

  /** @param request - what the store does when the request reaches it */
  constructor(link: StoreLink, listener: StoreStreamListener<Response>, request: () => void) {
    this.#link = link;
    this.#listener = listener;
    link.opened(this);
    link.send(
      "to the store",
      () => {
        if (!this.#closed) {
          link.cluster.whenLed(request);
        }
      },
      "stream request",
    );
  }

  get closed(): boolean {
    return this.#closed;
  }

  cancel(): void {
    this.#close("stream cancelled", new Error("1 CANCELLED: Cancelled on client"));
  }

  fail(error: Error): void {
    this.#close("stream broken", error);
  }

  /** The store sends. */
  send(response: Response): void {
    this.#outbox.push(response);
    this.#pump(this.#link.delayMs());
  }

  #pump(delayMs: number): void {
    if (this.#pumping || this.#closed || this.#outbox.length === 0) {
      return;
    }
    this.#pumping = true;
    this.#link.process.arrive(delayMs, "stream response", () => {
      this.#pumping = false;
      if (this.silent || this.#link.isCut("from the store")) {
        this.#pump(200);
        return;
      }
      const response = this.#closed ? undefined : this.#outbox.shift();
      if (response !== undefined) {
        this.#listener.response(response);
      }
      this.#pump(this.#link.random.between(0.01, 1));
    });
  }

  #close(label: string, error: Error): void {
    if (this.#closed) {
      return;
    }
    this.#closed = true;
    this.#link.closed(this);
    this.#link.process.arrive(0, label, () => {
      this.#listener.closed(error);
    });
  }
}
