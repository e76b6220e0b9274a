import { parseLockName } from "../../locks/lock-name.js";
import { parseTicketId } from "../../locks/ticket-id.js";
import type { LockName, TicketId } from "../ticket-log.js";

/** What a key under the prefix stands for. */
export type EtcdKey =
  | { readonly kind: "ticket"; readonly name: LockName; readonly id: TicketId }
  | { readonly kind: "member"; readonly id: string };

/** All keys from `start` on, up to but not including `end`. */
export interface KeyRange {
  readonly start: Buffer;
  readonly end: Buffer;
}

/**
 * Where things are in etcd. All of it sits under one prefix, which belongs to one metasrv cluster:
 *
 *     <prefix>/locks/<escaped name>/<ticket id>
 *     <prefix>/members/<member id>
 */
export class EtcdKeys {
  readonly #locks: string;
  readonly #members: string;
  /** What was asked for last: nearly always this node itself, with each of its tickets. */
  #lastMember: { readonly id: string; readonly key: Buffer } | undefined;
  /** Everything that is this cluster's. */
  readonly all: KeyRange;

  constructor(prefix: string) {
    this.#locks = `${prefix}/locks/`;
    this.#members = `${prefix}/members/`;
    this.all = below(`${prefix}/`);
  }

  ticket(name: LockName, id: TicketId): Buffer {
    return Buffer.from(`${this.#locks}${name}/${id}`);
  }

  /** All tickets of one lock. */
  tickets(name: LockName): KeyRange {
    return below(`${this.#locks}${name}/`);
  }

  member(id: string): Buffer {
    if (id !== this.#lastMember?.id) {
      this.#lastMember = { id, key: Buffer.from(this.#members + id) };
    }
    return this.#lastMember.key;
  }

  /** What the key stands for; undefined if this software cannot have written it. */
  parse(key: Buffer): EtcdKey | undefined {
    const text = key.toString("latin1");
    if (text.startsWith(this.#locks)) {
      const slash = text.indexOf("/", this.#locks.length);
      const name = parseLockName(text.slice(this.#locks.length, slash));
      const id = parseTicketId(text.slice(slash + 1));
      return slash === -1 || name === undefined || id === undefined ? undefined : { kind: "ticket", name, id };
    }
    if (text.startsWith(this.#members)) {
      const id = text.slice(this.#members.length);
      return /^[0-9a-f]+$/.test(id) ? { kind: "member", id } : undefined;
    }
    return undefined;
  }

  /** The lock among whose tickets the key stands, whoever wrote it; undefined if it stands elsewhere. */
  lockOf(key: Buffer): LockName | undefined {
    const text = key.toString("latin1");
    const slash = text.indexOf("/", this.#locks.length);
    return text.startsWith(this.#locks) && slash !== -1
      ? parseLockName(text.slice(this.#locks.length, slash))
      : undefined;
  }
}

/** The range of all keys that start with `text`, which ends with a slash. */
function below(text: string): KeyRange {
  const start = Buffer.from(text);
  const end = Buffer.from(start);
  end[end.length - 1] = "/".charCodeAt(0) + 1;
  return { start, end };
}
