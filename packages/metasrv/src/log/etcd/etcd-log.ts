import { type Clock, type Gather, gatherByEventLoop } from "@metasrv/wire";
import type { Logger } from "pino";
import { type Command, knownLevel, type StateHash } from "../../model/command.js";
import type { Fatal } from "../../model/fatal-error.js";
import type { Member, StoredMember } from "../../model/member.js";
import type {
  CommandLog,
  CommandWaiter,
  LogFigures,
  LogFold,
  LogListener,
  MembershipListener,
  Urgency,
} from "../command-log.js";
import { decodeBase, type StoredBase } from "../snapshot-codec.js";
import { withPatience } from "./attempts.js";
import { Committer } from "./committer.js";
import { DatabaseSize } from "./database-size.js";
import { Feed } from "./feed.js";
import { LogKeys } from "./keys.js";
import { entryBytes, type Listing, readEntry, readMember } from "./listing.js";
import type { EntryUnderWay } from "./log-writer.js";
import { Membership } from "./membership.js";
import { Refusals } from "./refusals.js";
import { createEtcdClient } from "./rpc/connected-etcd-client.js";
import type { EtcdAccess } from "./rpc/etcd-access.js";
import type { EtcdClient, EtcdEvent, EtcdTxn, EtcdTxnAnswer } from "./rpc/etcd-client.js";
import { Snapshots } from "./snapshots.js";

/** How an etcd log is set up. */
export interface EtcdLogOptions {
  /** Each as host:port, or with http:// or https:// before it. */
  readonly hosts: readonly string[];
  /** How etcd lets this server in; absent: without TLS options and user. */
  readonly access?: EtcdAccess | undefined;
  /** Everything is kept under `<prefix>/@/`. */
  readonly prefix: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends the process, when what is in the log cannot be folded. */
  readonly fatal: Fatal;
  /** How long opening and joining wait for etcd, in milliseconds. */
  readonly connectTimeoutMs: number;
  /** How long a command is tried before its requester is told that its outcome is not known, in milliseconds. */
  readonly requestTimeoutMs: number;
  /** TTL of the member lease, in whole seconds; etcd takes no less than 2. */
  readonly memberTtlSeconds: number;
  /** etcd's `--quota-backend-bytes`: before its database is that large, a warning is written. */
  readonly quotaBytes: number;
  /** etcd has answered a write of an entry; absent: nobody wants to know. */
  readonly entryWritten?: ((tookMs: number, commands: number) => void) | undefined;
}

/** What an etcd log is made of. */
export interface EtcdLogParts extends Omit<EtcdLogOptions, "prefix" | "access"> {
  /** Closed with the log. */
  readonly client: EtcdClient;
  /** What the client is told that etcd refuses; absent: nothing. */
  readonly refusals?: Refusals;
  readonly keys: LogKeys;
  readonly txn: (request: EtcdTxn) => Promise<EtcdTxnAnswer>;
  readonly gather: Gather;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  /** Unix time in milliseconds; tokens of a store that was never written to begin with it. */
  readonly unixMs: () => number;
  /** How often the watch is held against the store, in milliseconds. */
  readonly checkMs: number;
  /** How many entries are written at a time. */
  readonly maxInFlight: number;
  /** See `SnapshotsOptions.minLogBytes`. */
  readonly minLogBytes: number;
  /** The highest level of entries that is read; another one than this version's in tests only. */
  readonly knownLevel: number;
}

/** Fractions of a millisecond by which the first tokens of two stores differ that were set up one after the other. */
const revisionsPerMs = 100n;

/** Keys that are none of ours, of which a warning is written. */
const maxForeign = 100;

/** A log in etcd, 3.4 or later. Nothing is connected before `open`. */
export function createEtcdLog({ prefix, access, ...options }: EtcdLogOptions): CommandLog {
  const { hosts, clock } = options;
  const refusals = new Refusals(options);
  const client = createEtcdClient({
    hosts,
    access,
    clock,
    refused: (refusal) => {
      refusals.noted(refusal);
    },
  });
  return new EtcdLog({
    ...options,
    client,
    refusals,
    keys: new LogKeys(prefix),
    txn: withPatience(clock, (request: EtcdTxn, timeoutMs: number) => client.txn(request, timeoutMs)),
    gather: gatherByEventLoop,
    random: Math.random,
    unixMs: Date.now,
    checkMs: 1_000,
    maxInFlight: 4,
    minLogBytes: 32 * 1024 * 1024,
    knownLevel,
  });
}

/** Writes by a committer, folds what a feed delivers, keeps a membership, and, as the leader, keeps the log short. */
export class EtcdLog implements CommandLog {
  readonly #parts: EtcdLogParts;
  readonly #committer: Committer;
  #feed: Feed | undefined;
  #snapshots: Snapshots | undefined;
  #size: DatabaseSize | undefined;
  #membership: Membership | undefined;
  #fold: LogFold | undefined;
  #listener: LogListener | undefined;
  /** Oldest first. */
  #members: readonly StoredMember[] = [];
  #memberId: string | undefined;
  /** All tokens that this process has seen are lower. */
  #nextToken = 0n;
  /** Whether this process was a member before. */
  #hasJoined = false;
  /** The level that this process has asked to raise the log to. */
  #raisedTo = 0;
  readonly #foreign = new Set<string>();

  constructor(parts: EtcdLogParts) {
    this.#parts = parts;
    this.#committer = new Committer({
      ...parts,
      state: () => ({ level: this.#fold?.base.level ?? knownLevel, seen: this.#seen() }),
      delivered: () => this.#feed?.revision ?? 0n,
      heard: (header, delivered) => {
        this.#feed?.heard(header, delivered);
      },
      committed: (entry, revision) => {
        this.#feed?.committed(entry.key, revision, () => {
          this.#apply(entry, revision);
          this.#fold?.tell();
        });
      },
      memberGone: (memberId) => {
        this.#membership?.end(memberId);
      },
    });
  }

  async open(fold: LogFold, listener: LogListener): Promise<void> {
    this.#fold = fold;
    this.#listener = listener;
    const foreign = (key: Buffer) => {
      this.#reportForeign(key);
    };
    const members = () => this.#members.map(({ id }) => id);
    const feed = new Feed(
      { ...this.#parts, fold, foreign, members, firstBase: () => this.#firstBase() },
      {
        listed: (listing, replaced) => {
          this.#listed(fold, listing, replaced);
        },
        changed: (events) => {
          this.#changed(fold, events);
        },
      },
    );
    this.#feed = feed;
    const leader = () => (this.#members[0]?.id === this.#memberId ? this.#memberId : undefined);
    this.#size = new DatabaseSize({ ...this.#parts, leads: () => leader() !== undefined });
    this.#snapshots = new Snapshots({
      ...this.#parts,
      fold,
      members,
      leads: leader,
      skipped: (revision) => {
        feed.skipped(revision);
      },
      deleted: (key, revision) => {
        feed.committed(key, revision, () => undefined);
      },
    });
    await feed.open();
  }

  append(command: Command, waiter: CommandWaiter, urgency: Urgency): void {
    this.#committer.append(command, waiter, urgency);
  }

  catchUp(): Promise<void> {
    return this.#feed?.catchUp() ?? Promise.resolve();
  }

  lag(): string | undefined {
    const lag = this.#feed === undefined ? "it has not read the store yet" : this.#feed.lag();
    const refusal = this.#parts.refusals?.current();
    // The certificate of one member is no problem while another one is used.
    if (refusal === undefined || (lag === undefined && refusal.about === "certificate")) {
      return lag;
    }
    return lag === undefined ? refusal.message : `${lag}: ${refusal.message}`;
  }

  figures(): LogFigures {
    const { log, snapshot } = this.#snapshots?.bytes ?? {};
    return {
      behindMs: this.#feed?.behindMs,
      entriesUnderWay: this.#committer.entriesUnderWay,
      logBytes: log,
      snapshotBytes: snapshot,
      databaseBytes: this.#size?.bytes,
      quotaBytes: this.#parts.quotaBytes,
    };
  }

  async join(member: Omit<Member, "level">, listener: MembershipListener): Promise<void> {
    const level = this.#parts.knownLevel;
    this.#membership = new Membership(
      {
        ...this.#parts,
        joined: (memberId, revision) => {
          this.#memberId = memberId;
          this.#committer.joined(memberId, revision, this.#floor());
          // The watch may have told of the member before etcd's answer did.
          this.#raiseLevel();
        },
        lost: () => {
          this.#memberId = undefined;
          this.#committer.left();
        },
      },
      { ...member, level },
      listener,
    );
    await this.#membership.join();
    // So that a server that serves knows itself.
    await this.catchUp();
  }

  async leave(): Promise<void> {
    await this.#membership?.leave();
    this.#membership = undefined;
  }

  async close(): Promise<void> {
    this.#snapshots?.close();
    this.#size?.close();
    await this.leave();
    this.#committer.close();
    await this.#feed?.close();
    this.#parts.client.close();
  }

  /** What others may hold against their tables: not what was read of a store that another may have taken the place of. */
  #seen(): StateHash | undefined {
    return this.#feed?.isSure === true ? this.#fold?.hash : undefined;
  }

  #listed(fold: LogFold, listing: Listing, replaced: boolean): void {
    this.#nextToken = maxOf(this.#nextToken, fold.nextToken);
    fold.become(listing.fold, replaced);
    this.#members = listing.members;
    const { base, baseModRevision, writers, logBytes } = listing;
    this.#snapshots?.listed(base, baseModRevision, writers, logBytes);
    const memberIds = new Set(this.#members.map(({ id }) => id));
    this.#committer.listed(memberIds, replaced ? undefined : listing.header.revision, ({ memberId, sequence }) =>
      fold.outcomes(memberId, sequence),
    );
    fold.keepMembers(memberIds);
    fold.tell();
    this.#listener?.strays(undefined);
    if (replaced || this.#ownKeyIsGone(listing.header.revision)) {
      this.#endMembership();
    }
    this.#membersChanged();
  }

  #changed(fold: LogFold, events: readonly EtcdEvent[]): void {
    const membersBefore = this.#members;
    for (const event of events) {
      this.#take(fold, event);
    }
    fold.tell();
    if (membersBefore !== this.#members) {
      this.#membersChanged();
    }
  }

  #take(fold: LogFold, { kind, kv }: EtcdEvent): void {
    const { keys } = this.#parts;
    const key = keys.parse(kv.key);
    if (key === undefined) {
      if (kind === "put") {
        this.#reportForeign(kv.key);
      }
    } else if (key.kind === "entry") {
      if (kind === "put") {
        this.#takeEntry(fold, key.memberId, key.sequence, kv);
      }
    } else if (key.kind === "member") {
      this.#takeMember(fold, key.memberId, kind === "put" ? readMember(keys, kv) : undefined, kv.key);
    } else if (key.kind === "base" && kind === "put") {
      this.#snapshots?.baseChanged(decodeBase(kv.value), kv.modRevision);
    }
  }

  #takeEntry(fold: LogFold, memberId: string, sequence: number, kv: EtcdEvent["kv"]): void {
    const own = this.#committer.find(memberId, sequence);
    if (own !== undefined) {
      this.#apply(own, kv.modRevision);
      return;
    }
    const entry = readEntry(kv.value, this.#parts.knownLevel);
    if (entry === undefined) {
      this.#reportForeign(kv.key);
      return;
    }
    const outcomes = fold.apply({ memberId, sequence, revision: kv.modRevision, entry }, true);
    this.#snapshots?.grown(memberId, entryBytes(kv));
    if (memberId === this.#memberId && outcomes !== undefined) {
      this.#listener?.strays(entry.commands.flatMap((command) => ("id" in command ? command : [])));
    }
  }

  /** An entry of this process's own is what comes next. */
  #apply(own: EntryUnderWay, revision: bigint): void {
    const { memberId, sequence, entry } = own;
    const outcomes = this.#fold?.apply({ memberId, sequence, revision, entry }, true);
    if (outcomes !== undefined) {
      this.#committer.settle(own, outcomes);
      this.#snapshots?.grown(memberId, own.key.length + own.value.length + 32);
    }
  }

  #takeMember(fold: LogFold, memberId: string, member: StoredMember | undefined, key: Buffer): void {
    const others = this.#members.filter(({ id }) => id !== memberId);
    if (member !== undefined) {
      this.#members = [...others, member].sort((a, b) => (a.createRevision < b.createRevision ? -1 : 1));
      return;
    }
    if (others.length === this.#members.length) {
      this.#reportForeign(key);
      return;
    }
    this.#members = others;
    fold.forgetMember(memberId);
    this.#committer.memberGone(memberId);
    this.#membership?.end(memberId);
  }

  #membersChanged(): void {
    this.#raiseLevel();
    this.#listener?.members(this.#members);
  }

  /** Once every member knows a higher level than the log is at, the leader lets the log have it. */
  #raiseLevel(): void {
    const level = Math.min(...this.#members.map(({ member }) => member.level), this.#parts.knownLevel);
    const leads = this.#members[0] !== undefined && this.#members[0].id === this.#memberId;
    if (leads && level > Math.max(this.#fold?.base.level ?? level, this.#raisedTo)) {
      this.#raisedTo = level;
      const failed = () => {
        this.#raisedTo = 0;
      };
      this.append(
        { kind: "raise-level", level },
        { settled: () => undefined, failed, overdue: () => undefined },
        "soon",
      );
    }
  }

  #ownKeyIsGone(revision: bigint): boolean {
    const id = this.#memberId;
    return id !== undefined && !this.#members.some((member) => member.id === id) && this.#committer.joinedBy(revision);
  }

  #endMembership(): void {
    if (this.#memberId !== undefined) {
      this.#membership?.end(this.#memberId);
    }
  }

  /**
   * What must be in the log before anything else of this member: tokens go on rising where a store took the place of one
   * that was further. Whether one did is not always known yet when this process joins again.
   */
  #floor(): Command | undefined {
    const nextToken = this.#fold?.nextToken ?? 0n;
    const isSure = !this.#hasJoined && nextToken >= this.#nextToken;
    this.#hasJoined = true;
    return isSure ? undefined : { kind: "raise-floor", token: maxOf(this.#nextToken, nextToken) - 1n };
  }

  #firstBase(): StoredBase {
    const byTime = BigInt(Math.floor(this.#parts.unixMs())) * revisionsPerMs;
    const known = maxOf(this.#nextToken, this.#fold?.nextToken ?? 0n) / 4096n + 1n;
    const revisionOffset = maxOf(byTime, known);
    // Nobody has written anything yet, so there is nobody older to wait for.
    const level = this.#parts.knownLevel;
    return { level, revision: 0n, revisionOffset, snapshot: "", chunks: 0, bytes: 0, hashLow: 0, hashHigh: 0 };
  }

  #reportForeign(key: Buffer): void {
    const text = key.toString();
    if (!this.#foreign.has(text) && this.#foreign.size < maxForeign) {
      this.#foreign.add(text);
      this.#parts.logger.warn(
        { key: text },
        "a key under the prefix is none of metasrv's; left alone, and of no effect",
      );
    }
  }
}

function maxOf(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
