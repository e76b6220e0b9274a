import { create, toJson } from "@bufbuild/protobuf";
import { TicketSchema } from "@metasrv/proto/metasrv/store/v1";
import { systemClock } from "@metasrv/wire";
import { Fold } from "./fold/fold.js";
import type { Ticket } from "./fold/ticket.js";
import { LogKeys } from "./log/etcd/keys.js";
import { list } from "./log/etcd/listing.js";
import { createEtcdClient } from "./log/etcd/rpc/connected-etcd-client.js";
import { knownLevel } from "./model/command.js";
import { showLockName } from "./model/lock-name.js";

/** Which store is read. */
export interface DumpOptions {
  /** The etcd members, each as host:port, or with http:// or https:// before it. */
  readonly hosts: readonly string[];
  /** The prefix of the servers. */
  readonly prefix: string;
  /** How long one request may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Told of a key that is none of ours. */
  readonly foreign?: (key: Buffer) => void;
}

/**
 * The tickets that are in a store now, by their places in the log: read from etcd at one revision, without a server, and
 * without a change. Among them are those whose time has passed, if no server was there to remove them.
 *
 * @throws Error as etcd's client; FatalError when what is there cannot be read
 */
export async function readTickets({ hosts, prefix, timeoutMs, foreign }: DumpOptions): Promise<Ticket[]> {
  const client = createEtcdClient(hosts, systemClock);
  try {
    const { fold } = await list({
      client,
      keys: new LogKeys(prefix),
      knownLevel,
      fold: new Fold(),
      foreign: foreign ?? (() => undefined),
      firstPageMs: timeoutMs,
      pageMs: timeoutMs,
    });
    const folded = new Fold();
    folded.become(fold);
    return [...folded.tickets()].sort((a, b) => (a.token < b.token ? -1 : 1));
  } finally {
    client.close();
  }
}

/** A ticket as one line of JSON, a `metasrv.store.v1.Ticket`. Its id is left out: whoever has it can take the lock. */
export function ticketLine({ name, token, content, memberId, attempt, holds }: Ticket): string {
  const { ttlMs, owner, resumable } = content;
  const shown = { name: showLockName(name), token, ttlMs: BigInt(ttlMs), owner, resumable, memberId, attempt, holds };
  return JSON.stringify(toJson(TicketSchema, create(TicketSchema, shown)));
}
