import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { MemberSchema } from "@metasrv/proto/metasrv/store/v1";
import { MalformedMessageError } from "@metasrv/wire";
import type { Entry } from "../../model/command.js";
import type { Member, StoredMember } from "../../model/member.js";
import type { LogFold } from "../command-log.js";
import { decodeEntry } from "../entry-codec.js";
import { decodeBase, decodeChunk, encodeBase, type StoredBase } from "../snapshot-codec.js";
import type { KeyRange, LogKeys } from "./keys.js";
import type { EtcdClient, EtcdHeader, EtcdKeyValue, EtcdPage } from "./rpc/etcd-client.js";

/** Everything that is in the store, at one revision. */
export interface Listing {
  readonly header: EtcdHeader;
  /** What was written by members that are gone is known to it still; see `LogFold.keepMembers`. */
  readonly fold: LogFold;
  readonly members: readonly StoredMember[];
  readonly base: StoredBase;
  readonly baseModRevision: bigint;
  /** The last change that left something behind; its key is there at this revision. */
  readonly last: { readonly key: Buffer; readonly revision: bigint };
  /** Members that entries are there of, and how many bytes these take. */
  readonly writers: ReadonlySet<string>;
  readonly logBytes: number;
}

/** What a listing is made with. */
export interface ListingOptions {
  readonly client: Pick<EtcdClient, "range" | "txn">;
  readonly keys: LogKeys;
  /** The highest level of entries that this version reads. */
  readonly knownLevel: number;
  /** The fold that the new one is to take the place of. */
  readonly fold: LogFold;
  /**
   * Where a log begins that was never written to, and is written so; its tokens must be higher than all that are known.
   * Absent: nothing is written, and such a log is empty.
   */
  readonly firstBase?: () => StoredBase;
  /** Told of a key that is none of ours. */
  readonly foreign: (key: Buffer) => void;
  /** How long the first page may take, in milliseconds, and each of the others. */
  readonly firstPageMs: number;
  readonly pageMs: number;
}

/** What a page should have, in bytes: several chunks, or many entries. */
const pageBytes = 2 * 1024 * 1024;

/**
 * Reads the base, the snapshot that it names, the entries after it and the members, all at one revision, and folds them.
 *
 * @throws Error as etcd's client; FatalError when what is there cannot be read
 */
export async function list(options: ListingOptions): Promise<Listing> {
  const { client, keys, fold } = options;
  const { header, kv } = await readBase(options);
  const base = decodeBase(kv.value);
  const fresh = fold.fresh(base);
  const pages = (range: KeyRange, limit: number) => readPages(options, range, limit, header.revision);
  if (base.chunks > 0) {
    let chunks = 0;
    for await (const { value } of pages(keys.chunksOf(base.snapshot), 4)) {
      fresh.load(decodeChunk(value));
      chunks++;
    }
    if (chunks !== base.chunks) {
      throw new Error(`the snapshot has ${chunks} chunks instead of ${base.chunks}`);
    }
  }
  fresh.loaded({ revision: base.revision, low: base.hashLow, high: base.hashHigh });
  const members: StoredMember[] = [];
  let last = { key: keys.base, revision: kv.modRevision };
  for await (const memberKv of pages(keys.members, 1_000)) {
    const member = readMember(keys, memberKv);
    if (member === undefined) {
      options.foreign(memberKv.key);
    } else {
      members.push(member);
      last = later(last, memberKv);
    }
  }
  const writers = new Set<string>();
  const entries: { readonly kv: EtcdKeyValue; readonly memberId: string; readonly sequence: number }[] = [];
  let logBytes = 0;
  for await (const entryKv of pages(keys.entries, 256)) {
    const key = keys.parse(entryKv.key);
    if (key?.kind !== "entry") {
      options.foreign(entryKv.key);
      continue;
    }
    writers.add(key.memberId);
    logBytes += entryBytes(entryKv);
    if (entryKv.modRevision > base.revision) {
      entries.push({ kv: entryKv, memberId: key.memberId, sequence: key.sequence });
      last = later(last, entryKv);
    }
  }
  entries.sort((a, b) => (a.kv.modRevision < b.kv.modRevision ? -1 : 1));
  for (const { kv: entryKv, memberId, sequence } of entries) {
    const entry = readEntry(entryKv.value, options.knownLevel);
    if (entry === undefined) {
      options.foreign(entryKv.key);
    } else {
      fresh.apply({ memberId, sequence, revision: entryKv.modRevision, entry }, false);
    }
  }
  members.sort((a, b) => (a.createRevision < b.createRevision ? -1 : 1));
  return { header, fold: fresh, members, base, baseModRevision: kv.modRevision, last, writers, logBytes };

  function later(before: typeof last, { key, modRevision }: EtcdKeyValue): typeof last {
    return modRevision > before.revision ? { key, revision: modRevision } : before;
  }

  async function readBase({
    firstBase,
    firstPageMs,
  }: ListingOptions): Promise<{ header: EtcdHeader; kv: EtcdKeyValue }> {
    for (;;) {
      const page = await client.range({ key: keys.base }, firstPageMs);
      const [found] = page.kvs;
      if (found !== undefined) {
        return { header: page.header, kv: found };
      }
      if (firstBase === undefined) {
        const value = encodeBase(emptyBase);
        return { header: page.header, kv: { key: keys.base, value, createRevision: 0n, modRevision: 0n, lease: 0n } };
      }
      const put = { kind: "put", key: keys.base, value: encodeBase(firstBase()) } as const;
      const isAbsent = { key: keys.base, target: "create", result: "equal", revision: 0n } as const;
      await client.txn({ compare: [isAbsent], success: [put], failure: [] }, firstPageMs);
    }
  }
}

const emptyBase: StoredBase = {
  level: 1,
  revision: 0n,
  revisionOffset: 0n,
  snapshot: "",
  chunks: 0,
  bytes: 0,
  hashLow: 0,
  hashHigh: 0,
};

async function* readPages(
  { client, pageMs }: ListingOptions,
  range: KeyRange,
  firstLimit: number,
  revision: bigint,
): AsyncGenerator<EtcdKeyValue> {
  let { key } = range;
  let limit = firstLimit;
  for (;;) {
    const page: EtcdPage = await client.range({ key, end: range.end, limit, revision }, pageMs);
    yield* page.kvs;
    const last = page.kvs.at(-1);
    if (!page.more || last === undefined) {
      return;
    }
    key = Buffer.concat([last.key, Buffer.of(0)]);
    const bytes = page.kvs.reduce((sum, { value }) => sum + value.length + 100, 0);
    limit = Math.max(1, Math.min(10_000, Math.floor((limit * pageBytes) / bytes)));
  }
}

/** Bytes that an entry takes in the store, roughly. */
export function entryBytes({ key, value }: EtcdKeyValue): number {
  return key.length + value.length + 32;
}

/** The entry that these bytes are; undefined for what is none. @throws FatalError for an entry that cannot be read */
export function readEntry(value: Buffer, knownLevel: number): Entry | undefined {
  try {
    return decodeEntry(value, knownLevel);
  } catch (error) {
    if (error instanceof MalformedMessageError) {
      return undefined;
    }
    throw error;
  }
}

/** The bytes of a member. */
export function encodeMember({ address, version, startedUnixMs, level }: Member): Buffer {
  const message = create(MemberSchema, { address, version, startedUnixMs: BigInt(startedUnixMs), level });
  return Buffer.from(toBinary(MemberSchema, message));
}

/** The member of a key; undefined for what is none. A key without a lease stays when its process ends: it is nobody's. */
export function readMember(
  keys: LogKeys,
  { key, value, createRevision, lease }: EtcdKeyValue,
): StoredMember | undefined {
  const parsed = keys.parse(key);
  if (parsed?.kind !== "member" || lease === 0n) {
    return undefined;
  }
  try {
    const { address, version, startedUnixMs, level } = fromBinary(MemberSchema, value);
    return {
      id: parsed.memberId,
      member: { address, version, startedUnixMs: Number(startedUnixMs), level },
      createRevision,
    };
  } catch {
    return undefined;
  }
}
