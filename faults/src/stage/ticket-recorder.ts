import { fromBinary } from "@bufbuild/protobuf";
import { TicketSchema } from "@metasrv/proto/metasrv/store/v1";
import type { Etcd3, IKeyValue, Watcher } from "etcd3";
import type { TicketLife } from "../history/ticket-life.js";
import { nowUs } from "../monotonic.js";

const prefix = "metasrv/locks/";

/** Writes down the life of every ticket, as the store's watch tells it. */
export class TicketRecorder implements AsyncDisposable {
  /** In the order of their creation. */
  readonly tickets: TicketLife[] = [];
  readonly #live = new Map<string, TicketLife>();
  readonly #watcher: Watcher;
  #revision = 0n;
  /** Why it could not see everything. */
  trouble: string | undefined;

  private constructor(watcher: Watcher) {
    this.#watcher = watcher;
    watcher.on("put", (kv) => {
      this.#put(kv);
    });
    watcher.on("delete", (kv) => {
      this.#delete(kv);
    });
    watcher.on("error", (error) => {
      this.trouble ??= error.message;
    });
  }

  /** Starts on a store that has no tickets yet. */
  static async start(store: Etcd3): Promise<TicketRecorder> {
    return new TicketRecorder(await store.watch().prefix(prefix).create());
  }

  /** The last revision that it has heard of. */
  get revision(): bigint {
    return this.#revision;
  }

  /** How many tickets each member serves, by the member's id. */
  served(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { memberId } of this.#live.values()) counts.set(memberId, (counts.get(memberId) ?? 0) + 1);
    return counts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watcher.cancel();
  }

  #put({ key, value, create_revision: created, mod_revision: modified }: IKeyValue): void {
    this.#revision = BigInt(modified);
    const { owner, memberId } = fromBinary(TicketSchema, value);
    const text = key.toString("latin1");
    const known = this.#live.get(text);
    if (known !== undefined) {
      known.memberId = memberId;
      return;
    }
    const [name = "", id = ""] = text.slice(prefix.length).split("/");
    const lock = decodeURIComponent(name);
    const ticket: TicketLife = { lock, id, ask: owner, token: BigInt(created), createdUs: nowUs(), memberId };
    this.#live.set(text, ticket);
    this.tickets.push(ticket);
  }

  #delete({ key, mod_revision: modified }: IKeyValue): void {
    this.#revision = BigInt(modified);
    const text = key.toString("latin1");
    const ticket = this.#live.get(text);
    if (ticket === undefined) return;
    ticket.goneUs = nowUs();
    ticket.goneRevision = BigInt(modified);
    this.#live.delete(text);
  }
}
