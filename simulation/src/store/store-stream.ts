import type { IDuplexStream } from "etcd3";
import type { StoreLink } from "./store-link.js";

interface Handlers<Response> {
  data: ((item: Response) => void)[];
  end: (() => void)[];
  error: ((error: Error) => void)[];
}

/** A bidirectional stream of a node to the store: requests arrive one by one, answers in the order of their sending. */
export class StoreStream<Request, Response> implements IDuplexStream<Request, Response> {
  readonly #link: StoreLink;
  readonly #receive: (request: Request) => void;
  readonly #handlers: Handlers<Response> = { data: [], end: [], error: [] };
  readonly #outbox: Response[] = [];
  #pumping = false;
  #closed = false;
  /** It is not broken, but nothing comes any more. */
  silent = false;

  /** @param receive - what the store does with a request */
  constructor(link: StoreLink, receive: (request: Request) => void) {
    this.#link = link;
    this.#receive = receive;
    link.opened(this);
  }

  get closed(): boolean {
    return this.#closed;
  }

  on(event: "data", listener: (item: Response) => void): this;
  on(event: "end", listener: () => void): this;
  on(event: "status", listener: (status: never) => void): this;
  on(event: "error", listener: (error: Error) => void): this;
  on(event: "data" | "end" | "status" | "error", listener: (item: never) => void): this {
    if (event !== "status") {
      // The overloads above say which listener goes with which event.
      (this.#handlers[event] as ((item: never) => void)[]).push(listener);
    }
    return this;
  }

  write(request: Request): void {
    if (!this.#closed) {
      this.#link.send(
        "to the store",
        () => {
          if (!this.#closed) {
            this.#link.cluster.whenLed(() => {
              this.#receive(request);
            });
          }
        },
        "stream request",
      );
    }
  }

  end(): void {
    this.cancel();
  }

  cancel(): void {
    if (this.#close()) {
      this.#link.process.arrive(0, "stream cancelled", () => {
        this.#emitError(new Error("1 CANCELLED: Cancelled on client"));
      });
    }
  }

  fail(error: Error): void {
    if (this.#close()) {
      this.#link.process.arrive(0, "stream broken", () => {
        this.#emitError(error);
      });
    }
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
        for (const listener of this.#handlers.data) {
          listener(response);
        }
      }
      this.#pump(this.#link.random.between(0.01, 1));
    });
  }

  #close(): boolean {
    if (this.#closed) {
      return false;
    }
    this.#closed = true;
    this.#link.closed(this);
    return true;
  }

  #emitError(error: Error): void {
    for (const listener of this.#handlers.error) {
      listener(error);
    }
  }
}
