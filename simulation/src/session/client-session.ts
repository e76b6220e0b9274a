import type { SessionResponse, SessionTerms } from "@metasrv/proto/metasrv/v1";
import { Cancellation } from "../../../packages/meta-client/src/cancellation.js";
import { SessionLedger } from "../../../packages/meta-client/src/session-ledger.js";
import type { ClientWayOptions } from "../client-way.js";
import type { SimulatedNode } from "../simulated-node.js";
import type { ProcessClock } from "../simulated-process.js";
import { type ClientEnd, SessionLink } from "./session-link.js";

export interface ClientSessionOptions extends ClientWayOptions {
  readonly node: SimulatedNode;
  /** The number before the one of the first command. */
  readonly lastNumber: number;
  /** Called when the server is about to stop. */
  readonly onDraining: () => void;
}

type Timer = ReturnType<ProcessClock["after"]>;

/** How long opening may take, in milliseconds. */
const openTimeoutMs = 3_000;
/** How long a server that is about to stop may take to answer what is unanswered, in milliseconds. */
const leaveTimeoutMs = 2_000;

/** The real ledger over a simulated stream. It does what `SessionStream` and `SessionChannel` do around the ledger. */
export class ClientSession implements ClientEnd {
  readonly ledger: SessionLedger;
  /** Cancelled once the stream is broken or has ended. */
  readonly over = new Cancellation();
  /** Resolves once calls can be made, or the stream is broken. */
  readonly opened: Promise<void>;
  readonly #options: ClientSessionOptions;
  readonly #link: SessionLink | undefined;
  #resolveOpened: () => void = () => undefined;
  #terms: SessionTerms | undefined;
  #receivedAtMs = 0;
  #heartbeatDue = false;
  #ending = false;
  #ended = false;
  #flushScheduled = false;
  #timer: Timer | undefined;
  #leaveTimer: Timer | undefined;

  constructor(options: ClientSessionOptions) {
    this.#options = options;
    const { network, process, client, clock, node, lastNumber } = options;
    this.opened = new Promise((resolve) => {
      this.#resolveOpened = resolve;
    });
    this.ledger = new SessionLedger({
      endpoint: node.name,
      heardAtMs: () => this.#receivedAtMs,
      onOutgoing: () => {
        this.#scheduleFlush();
      },
      onBusy: () => undefined,
      lastNumber,
    });
    const { run } = node;
    if (run === undefined || (!run.serves && network.random.chance(0.5))) {
      process.arrive(network.delayMs(), `${node.name} refuses the connection`, () => {
        this.broken();
      });
      return;
    }
    this.#link = new SessionLink({ network, client, clientProcess: process, node: node.name, run, end: this });
    this.#timer = clock.after(openTimeoutMs, () => {
      this.breakOff();
    });
  }

  receive({ terms, events, draining }: SessionResponse): void {
    this.#receivedAtMs = this.#options.clock.now();
    if (terms !== undefined) {
      this.#terms = terms;
      this.#timer?.cancel();
      this.#watch(terms);
      this.#resolveOpened();
    }
    for (const event of events) {
      this.ledger.handle(event);
    }
    if (draining) {
      this.#options.onDraining();
    }
  }

  ended(): void {
    this.#break("the server ended the session");
  }

  broken(): void {
    this.#break("the connection broke");
  }

  /** The connection breaks; the node notices some time later. */
  tear(): void {
    this.#link?.tear();
  }

  /** The client breaks the stream off. */
  breakOff(): void {
    if (!this.over.cancelled) {
      this.#link?.breakOff();
      this.#break("the client broke it off");
    }
  }

  /** Ends the stream, so that the server forgets what it does for this client. */
  end(): void {
    if (this.#terms === undefined) {
      this.breakOff();
    } else if (!this.over.cancelled) {
      this.ledger.end("the client ended it", undefined);
      this.#ending = true;
      this.#scheduleFlush();
    }
  }

  /** Ends the stream once nothing is left to be done on it. */
  leave(when: "now" | "at leisure"): void {
    if (this.over.cancelled || this.#terms === undefined) {
      return;
    }
    if (when === "now") {
      this.#leaveTimer = this.#options.clock.after(leaveTimeoutMs, () => {
        this.breakOff();
      });
    }
    this.ledger.leave(when === "now", () => {
      this.end();
    });
  }

  #scheduleFlush(): void {
    if (!this.#flushScheduled) {
      this.#flushScheduled = true;
      this.#options.process.arrive(0, "the turn is over", () => {
        this.#flushScheduled = false;
        this.#flush();
      });
    }
  }

  #flush(): void {
    if (this.over.cancelled || this.#terms === undefined || this.#ended) {
      return;
    }
    const sentAtMs = this.#options.clock.now();
    const commands = [];
    for (let next = this.ledger.next(sentAtMs); next !== undefined; next = this.ledger.next(sentAtMs)) {
      commands.push(next);
    }
    if (commands.length > 0 || this.#heartbeatDue) {
      this.#heartbeatDue = false;
      this.#link?.send({ $typeName: "metasrv.v1.SessionRequest", commands });
    }
    if (this.#ending) {
      this.#ended = true;
      this.#link?.send("end");
    }
  }

  /** Sends heartbeats, and gives the stream up when the server gives no sign of life. */
  #watch(terms: SessionTerms): void {
    const { clock } = this.#options;
    const timeoutMs = Number(terms.timeoutMs);
    const leftMs = this.#receivedAtMs + timeoutMs - clock.now();
    this.#timer = clock.after(Math.min(Number(terms.heartbeatMs), leftMs), () => {
      if (clock.now() - this.#receivedAtMs >= timeoutMs) {
        this.breakOff();
        return;
      }
      this.#heartbeatDue = true;
      this.#flush();
      this.#watch(terms);
    });
  }

  #break(why: string): void {
    if (!this.over.cancelled) {
      this.#timer?.cancel();
      this.#leaveTimer?.cancel();
      this.over.cancel(why);
      this.#resolveOpened();
      this.ledger.end(why, undefined);
    }
  }
}
