import { create, toJson } from "@bufbuild/protobuf";
import { LockMode, TicketSchema } from "@metasrv/proto/metasrv/store/v1";
import { systemClock } from "@metasrv/wire";
import { Fold } from "./fold/fold.js";
import type { Ticket } from "./fold/queue.js";
import { LogKeys } from "./log/etcd/keys.js";
import { list } from "./log/etcd/listing.js";
import { createEtcdClient } from "./log/etcd/rpc/connected-etcd-client.js";
import type { EtcdAccess } from "./log/etcd/rpc/etcd-access.js";
import { knownLevel } from "./model/command.js";
import { terminalSafe } from "./model/terminal-safe.js";
import { isExclusive, isShared } from "./model/ticket-content.js";
import { showLockName } from "./model/ticket-ref.js";

/** Where the tickets are read from. */
export interface DumpOptions {
  /** The etcd members, each as host:port, or with http:// or https:// before it. */
  readonly hosts: readonly string[];
  /** How etcd lets it in; absent: without TLS options and user. */
  readonly access?: EtcdAccess | undefined;
  /** The prefix of the servers. */
  readonly prefix: string;
  /** How long one request may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Called for each key under the prefix that is not metasrv's. */
  readonly foreign?: (key: Buffer) => void;
}

/**
 * Reads all tickets from etcd at one revision, in the order of the log. It needs no server and changes nothing. Tickets
 * whose TTL has passed are among them if no server was there to remove them.
 *
 * @throws Error as etcd's client; FatalError when the log cannot be read
 */
export async function readTickets({ hosts, access, prefix, timeoutMs, foreign }: DumpOptions): Promise<Ticket[]> {
  const client = createEtcdClient({ hosts, access, clock: systemClock });
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

/**
 * A ticket as one line of JSON, a `metasrv.store.v1.Ticket`. Its id is left out, because whoever knows it can unlock
 * the lock.
 */
export function ticketLine({ name, token, content, memberId, attempt, holds }: Ticket): string {
  const { ttlMs, owner, resumable, permits, limit, extras } = content;
  const common = {
    name: showLockName(name),
    token,
    ttlMs: BigInt(ttlMs),
    owner,
    resumable,
    memberId,
    attempt,
    holds,
    others: extras?.others.map((part) => showLockName(part.name)) ?? [],
    labels: Object.fromEntries(extras?.labels ?? []),
  };
  const shown = isExclusive(content)
    ? { ...common, mode: LockMode.EXCLUSIVE }
    : isShared(content)
      ? { ...common, mode: LockMode.SHARED }
      : { ...common, mode: LockMode.SEMAPHORE, permits, limit };
  return terminalSafe(JSON.stringify(toJson(TicketSchema, create(TicketSchema, shown))));
}
