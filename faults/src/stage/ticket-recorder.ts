import { fromBinary } from "@bufbuild/protobuf";
import { BaseSchema } from "@metasrv/proto/metasrv/store/v1";
import { ModelLog, type ModelTicket } from "@metasrv/testing";
import type { Etcd3, IKeyValue, Watcher } from "etcd3";
import type { TicketLife } from "../history/ticket-life.js";
import { nowUs } from "../monotonic.js";

const root = "metasrv/@/";
const entries = `${root}log/`;
const base = `${root}base`;

/**
 * Writes down the life of every ticket. It reads the entries of the log itself, and folds them with {@link ModelLog}.
 */
export class TicketRecorder implements AsyncDisposable {
  /** In the order of their creation. */
  readonly tickets: TicketLife[] = [];
  readonly #live = new Map<bigint, TicketLife>();
  readonly #watcher: Watcher;
  /** Absent until the log's base is there. */
  #log: ModelLog | undefined;
  #revision = 0n;
  /** Why it could not see everything. */
  trouble: string | undefined;

  private constructor(watcher: Watcher) {
    this.#watcher = watcher;
    watcher.on("put", (kv) => {
      this.#put(kv);
    });
    watcher.on("error", (error) => {
      this.trouble ??= error.message;
    });
  }

  /** Starts on a store that has no log yet. */
  static async start(store: Etcd3): Promise<TicketRecorder> {
    return new TicketRecorder(await store.watch().prefix(root).create());
  }

  /** The last revision that it has heard of. */
  get revision(): bigint {
    return this.#revision;
  }

  /** The tickets that there are now, for people to read. */
  get left(): readonly string[] {
    return [...this.#live.values()].map(({ lock, token, ask }) => `${lock}, token ${token}, of ${ask}`);
  }

  /** How many tickets each member serves, by the member's id. */
  served(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { memberId } of this.#live.values()) {
      counts.set(memberId, (counts.get(memberId) ?? 0) + 1);
    }
    return counts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watcher.cancel();
  }

  #put({ key, value, mod_revision: modified }: IKeyValue): void {
    this.#revision = BigInt(modified);
    const text = key.toString("latin1");
    if (text === base) {
      this.#log ??= new ModelLog(this.#observer, fromBinary(BaseSchema, value).revisionOffset);
    } else if (text.startsWith(entries)) {
      const [memberId = "", sequence = ""] = text.slice(entries.length).split("/");
      this.#log?.apply(memberId, Number(sequence), this.#revision, value);
      this.#noteHolders();
    }
  }

  /** Notes which tickets hold all that they ask for. */
  #noteHolders(): void {
    const log = this.#log;
    const waiting = log?.tickets.filter(({ token }) => this.#live.get(token)?.held !== true) ?? [];
    const admitted = new Map<string, ReadonlySet<ModelTicket>>();
    for (const name of new Set(waiting.flatMap(({ parts }) => parts.map((part) => part.name)))) {
      admitted.set(name, new Set(log?.admitted(name)));
    }
    for (const ticket of waiting) {
      const life = this.#live.get(ticket.token);
      if (life !== undefined && ticket.parts.every(({ name }) => admitted.get(name)?.has(ticket) === true)) {
        life.held = true;
      }
    }
  }

  readonly #observer = {
    created: ({ id, owner, token, memberId, parts }: ModelTicket) => {
      const [lock = "", ...others] = parts.map(({ name }) => Buffer.from(name, "latin1").toString());
      const hexId = Buffer.from(id, "latin1").toString("hex");
      const several = others.length > 0 && { others };
      const ticket: TicketLife = { lock, ...several, id: hexId, ask: owner, token, createdUs: nowUs(), memberId };
      this.#live.set(token, ticket);
      this.tickets.push(ticket);
    },
    changed: ({ token, memberId }: ModelTicket) => {
      const ticket = this.#live.get(token);
      if (ticket !== undefined) {
        ticket.memberId = memberId;
      }
    },
    removed: ({ token }: ModelTicket, place: bigint, forced: boolean) => {
      const ticket = this.#live.get(token);
      if (ticket !== undefined) {
        ticket.goneUs = nowUs();
        ticket.gonePlace = place;
        ticket.forced = forced;
        this.#live.delete(token);
      }
    },
  };
}
