import type { SessionCommand, SessionRequest, SessionResponse } from "@metasrv/proto/metasrv/v1";
import { LockError } from "../../../packages/metasrv/src/model/lock-errors.js";
import { Session } from "../../../packages/metasrv/src/session/session.js";
import type { Invariants } from "../invariants.js";
import type { NodeRun } from "../simulated-node.js";
import { SessionBooks } from "./session-books.js";
import type { NodeCarrier, NodeEnd } from "./stream-link.js";

export interface NodeSessionOptions extends NodeCarrier<SessionResponse> {
  readonly run: NodeRun;
  readonly client: string;
  readonly invariants: Invariants;
}

/** The real session over a simulated stream. It does what `serveSessionStream` does around the session. */
export class NodeSession implements NodeEnd<SessionRequest> {
  readonly #options: NodeSessionOptions;
  readonly #books: SessionBooks;
  readonly #session: Session;
  readonly #mistake: ((command: SessionCommand) => SessionCommand) | undefined;
  #gone = false;

  constructor(options: NodeSessionOptions) {
    this.#options = options;
    const { run, client, invariants, read } = options;
    this.#books = new SessionBooks(run.process.name, client, invariants);
    this.#mistake = run.variant.mistake?.();
    const carrier = {
      wake: () => {
        this.#send();
      },
      read,
      reset: () => {
        this.#close("reset");
      },
    };
    this.#session = new Session(
      run.sessionDependencies,
      { locks: run.locks, identity: undefined },
      carrier,
      (callback) => {
        run.process.arrive(0, "the turn is over", callback);
      },
    );
    run.streams.add(this);
    this.#send();
  }

  receive(message: SessionRequest): void {
    this.#books.asked(message.commands);
    const mistake = this.#mistake;
    this.#session.receive(
      mistake === undefined ? message : { ...message, commands: message.commands.map((command) => mistake(command)) },
    );
  }

  /** The client has ended its requests. */
  end(): void {
    this.#session.end();
  }

  /** The stream broke. */
  broken(): void {
    this.#session.break(new LockError("canceled", "the client is gone"));
    this.#close("broken");
  }

  /** The server stops. */
  shutDown(reason: LockError): void {
    this.#session.break(reason);
  }

  #send(): void {
    const { writable, whenWritable, send } = this.#options;
    while (!this.#gone) {
      if (!writable()) {
        whenWritable(() => {
          this.#send();
        });
        return;
      }
      const message = this.#session.next();
      if (message !== undefined) {
        this.#books.told(message.events);
        send(message);
      } else {
        if (this.#session.over !== undefined) {
          send("end");
          this.#close("ended");
        }
        return;
      }
    }
  }

  #close(how: "ended" | "reset" | "broken"): void {
    if (!this.#gone) {
      this.#gone = true;
      this.#options.run.streams.delete(this);
      this.#options.over(how);
    }
  }
}
