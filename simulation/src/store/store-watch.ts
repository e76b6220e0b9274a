import type { IWatchRequest, IWatchResponse } from "etcd3";
import type { Revision } from "./simulated-store.js";
import type { StoreLink } from "./store-link.js";
import { StoreStream } from "./store-stream.js";

/** How many revisions are sent together at most. */
const widest = 8;

/** A watch of one node: every revision from some point on, in order, whole revisions only. */
export class StoreWatch {
  readonly stream: StoreStream<IWatchRequest, IWatchResponse>;
  readonly #link: StoreLink;
  /** Committed and not sent. */
  #pending: Revision[] = [];
  #created = false;

  constructor(link: StoreLink) {
    this.#link = link;
    this.stream = new StoreStream(link, (request) => {
      this.#receive(request);
    });
  }

  /** A revision was committed. */
  committed(revision: Revision): void {
    if (this.#created && !this.stream.closed) {
      this.#pending.push(revision);
      this.#sendLater();
    }
  }

  /** The history is gone, and with it what a watch that is far behind has not sent. */
  compacted(): void {
    if (this.#pending.length > 0 && this.#link.random.chance(0.7)) {
      this.#pending = [];
      this.#cancelCompacted();
    }
  }

  #receive(request: IWatchRequest): void {
    if (request.create_request !== undefined) {
      this.#create(BigInt(request.create_request.start_revision ?? 0));
    } else if (request.progress_request !== undefined) {
      this.#later(() => {
        if (this.#created) {
          this.stream.send(this.#response({}));
        }
      });
    }
  }

  #create(start: bigint): void {
    this.stream.send(this.#response({ created: true }));
    const missed = this.#link.cluster.store.since(start);
    if (missed === undefined) {
      this.#cancelCompacted();
      return;
    }
    this.#created = true;
    this.#pending.push(...missed);
    this.#sendLater();
  }

  #cancelCompacted(): void {
    this.#created = false;
    const compactRevision = this.#link.cluster.store.compacted.toString();
    this.stream.send(
      this.#response({
        canceled: true,
        cancel_reason: "etcdserver: mvcc: required revision has been compacted",
        compact_revision: compactRevision,
      }),
    );
  }

  #sendLater(): void {
    this.#later(() => {
      while (this.#pending.length > 0) {
        const batch = this.#pending.splice(0, 1 + this.#link.random.int(widest));
        const events = batch.flatMap((revision) => revision.events);
        this.stream.send(this.#response({ events }));
      }
    });
  }

  #later(run: () => void): void {
    if (this.#link.watchLagMs === 0) {
      run();
    } else {
      this.#link.cluster.schedule(this.#link.watchLagMs, `watch of ${this.#link.process.name} catches up`, run);
    }
  }

  #response(what: Partial<IWatchResponse>): IWatchResponse {
    return {
      header: this.#link.cluster.store.header(),
      watch_id: "0",
      created: false,
      canceled: false,
      compact_revision: "0",
      cancel_reason: "",
      fragment: false,
      events: [],
      ...what,
    };
  }
}
