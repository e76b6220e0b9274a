import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import {
  type LockService,
  type SessionCommandSchema,
  type SessionRequest,
  SessionRequestSchema,
  type SessionResponse,
} from "@metasrv/proto/metasrv/v1";

/**
 * A session of `metasrv.v1.LockService`, message by message. It gives a sign of life only when the test sends
 * something.
 */
export class PlainSession {
  readonly #responses: AsyncIterator<SessionResponse>;
  readonly #requests: SessionRequest[] = [];
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(service: Client<typeof LockService>) {
    this.#responses = service.session(this.#sent())[Symbol.asyncIterator]();
  }

  send(...commands: MessageInitShape<typeof SessionCommandSchema>[]): void {
    this.#requests.push(create(SessionRequestSchema, { commands }));
    this.#wake?.();
  }

  /** Ends the requests, as a client does that has nothing more to ask for. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** The next message that the predicate accepts; the others are dropped. */
  async message(predicate: (message: SessionResponse) => boolean = () => true): Promise<SessionResponse> {
    for (;;) {
      const next = await this.#responses.next();
      if (next.done === true) {
        throw new Error("the session has ended");
      }
      if (predicate(next.value)) {
        return next.value;
      }
    }
  }

  /** The next events, as "number kind". */
  async events(): Promise<string[]> {
    const { events } = await this.message((message) => message.events.length > 0);
    return events.map(({ number, event }) => `${number} ${event.case ?? "nothing"}`);
  }

  /** Resolves when the session has ended well; rejects with what it ended with. */
  async ended(): Promise<void> {
    let response = await this.#responses.next();
    while (response.done !== true) {
      response = await this.#responses.next();
    }
  }

  async *#sent(): AsyncGenerator<SessionRequest> {
    for (;;) {
      const request = this.#requests.shift();
      if (request !== undefined) {
        yield request;
      } else if (this.#ended) {
        return;
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    }
  }
}
