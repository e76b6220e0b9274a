import type { EtcdWatchListener, EtcdWatchResponse } from "../../../packages/metasrv/src/log/etcd/rpc/etcd-client.js";
import type { Revision } from "./simulated-store.js";
import type { StoreLink } from "./store-link.js";
import { StoreStream } from "./store-stream.js";

/** How many revisions are sent together at most. */
const widest = 8;

/**
 * A watch of one node: every revision from some point on that changes what it watches, in order, and each as a whole.
 */
export class StoreWatch {
  readonly stream: StoreStream<EtcdWatchResponse>;
  readonly #link: StoreLink;
  readonly #start: string;
  readonly #end: string;
  /** Revisions that are committed and were not sent yet. */
  #pending: Revision[] = [];
  #created = false;

  constructor(
    link: StoreLink,
    { key, end, startRevision }: { readonly key: Buffer; readonly end: Buffer; readonly startRevision: bigint },
    listener: EtcdWatchListener,
  ) {
    this.#link = link;
    this.#start = key.toString("latin1");
    this.#end = end.toString("latin1");
    this.stream = new StoreStream(link, listener, () => {
      this.#create(startRevision);
    });
  }

  /** A revision was committed. */
  committed(revision: Revision): void {
    if (this.#created && !this.stream.closed) {
      this.#pending.push(revision);
      this.#sendLater();
    }
  }

  /** The history is gone. What a watch that is far behind has not sent yet is gone, too. */
  compacted(): void {
    if (this.#pending.length > 0 && this.#link.random.chance(0.7)) {
      this.#pending = [];
      this.#cancelCompacted();
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
    this.stream.send(
      this.#response({
        canceled: true,
        cancelReason: "etcdserver: mvcc: required revision has been compacted",
        compactRevision: this.#link.cluster.store.compacted,
      }),
    );
  }

  #sendLater(): void {
    this.#later(() => {
      while (this.#pending.length > 0) {
        const batch = this.#pending.splice(0, 1 + this.#link.random.int(widest));
        const events = batch.flatMap((revision) => revision.events).filter(({ kv }) => this.#watches(kv.key));
        if (events.length > 0) {
          this.stream.send(this.#response({ events }));
        }
      }
    });
  }

  #watches(key: Buffer): boolean {
    const text = key.toString("latin1");
    return text >= this.#start && text < this.#end;
  }

  #later(run: () => void): void {
    if (this.#link.watchLagMs === 0) {
      run();
    } else {
      this.#link.cluster.schedule(this.#link.watchLagMs, `watch of ${this.#link.process.name} catches up`, run);
    }
  }

  #response(what: Partial<EtcdWatchResponse>): EtcdWatchResponse {
    return {
      header: this.#link.cluster.store.header(),
      created: false,
      canceled: false,
      compactRevision: 0n,
      cancelReason: "",
      events: [],
      ...what,
    };
  }
}
