/** What a key of ours stands for. */
export type LogKey =
  | { readonly kind: "entry"; readonly memberId: string; readonly sequence: number }
  | { readonly kind: "member"; readonly memberId: string }
  | { readonly kind: "base" }
  | { readonly kind: "joined" }
  | { readonly kind: "chunk" };

/** All keys from `key` on, up to but not including `end`. */
export interface KeyRange {
  readonly key: Buffer;
  readonly end: Buffer;
}

const sequenceDigits = 16;

/**
 * Where things are in etcd. All of it sits in a folder of its own, `@`, which no prefix can contain: so a cluster with the
 * prefix `a` and one with the prefix `a/b` never see each other's keys.
 *
 *     <prefix>/@/base
 *     <prefix>/@/joined
 *     <prefix>/@/log/<member id>/<sequence>
 *     <prefix>/@/members/<member id>
 *     <prefix>/@/snapshots/<snapshot>/<n>
 */
export class LogKeys {
  readonly #prefix: string;
  readonly #root: string;
  readonly #log: string;
  readonly #members: string;
  readonly #snapshots: string;
  /** Everything that every server follows: not the snapshots, which are large and which only a listing reads. */
  readonly watched: KeyRange;
  readonly base: Buffer;
  /** Put whenever a member has joined, before it writes anything. */
  readonly joined: Buffer;
  readonly entries: KeyRange;
  readonly members: KeyRange;
  readonly snapshots: KeyRange;

  constructor(prefix: string) {
    this.#prefix = prefix;
    this.#root = `${prefix}/@/`;
    this.#log = `${this.#root}log/`;
    this.#members = `${this.#root}members/`;
    this.#snapshots = `${this.#root}snapshots/`;
    // Of the names in the folder, "snapshots" is the last in the order of keys.
    this.watched = { key: Buffer.from(this.#root), end: Buffer.from(this.#snapshots) };
    this.base = Buffer.from(`${this.#root}base`);
    this.joined = Buffer.from(`${this.#root}joined`);
    this.entries = below(this.#log);
    this.members = below(this.#members);
    this.snapshots = below(this.#snapshots);
  }

  entry(memberId: string, sequence: number): Buffer {
    return Buffer.from(`${this.#log}${memberId}/${paddedSequence(sequence)}`);
  }

  /** The entries of a member, from a sequence on, up to but not including another; without it, all of them. */
  entriesOf(memberId: string, from = 0, before?: number): KeyRange {
    const { end } = below(`${this.#log}${memberId}/`);
    return { key: this.entry(memberId, from), end: before === undefined ? end : this.entry(memberId, before) };
  }

  member(memberId: string): Buffer {
    return Buffer.from(this.#members + memberId);
  }

  chunk(snapshot: string, index: number): Buffer {
    return Buffer.from(`${this.#snapshots}${snapshot}/${index.toString().padStart(6, "0")}`);
  }

  /** The chunks of a snapshot, from one on. */
  chunksOf(snapshot: string, from = 0): KeyRange {
    return { key: this.chunk(snapshot, from), end: below(`${this.#snapshots}${snapshot}/`).end };
  }

  /** Where the first design of this software, which was never released, kept its locks and members. */
  get firstDesign(): readonly KeyRange[] {
    return [below(`${this.#prefix}/locks/`), below(`${this.#prefix}/members/`)];
  }

  /** What the key stands for; undefined if this software cannot have written it. */
  parse(key: Buffer): LogKey | undefined {
    const text = key.toString("latin1");
    if (text.startsWith(this.#log)) {
      const slash = text.indexOf("/", this.#log.length);
      const memberId = text.slice(this.#log.length, slash);
      const digits = text.slice(slash + 1);
      const isEntry = slash !== -1 && isMemberId(memberId) && digits.length === sequenceDigits && /^\d+$/.test(digits);
      return isEntry ? { kind: "entry", memberId, sequence: Number(digits) } : undefined;
    }
    if (text.startsWith(this.#members)) {
      const memberId = text.slice(this.#members.length);
      return isMemberId(memberId) ? { kind: "member", memberId } : undefined;
    }
    if (text.startsWith(this.#snapshots)) {
      return { kind: "chunk" };
    }
    if (key.equals(this.joined)) {
      return { kind: "joined" };
    }
    return key.equals(this.base) ? { kind: "base" } : undefined;
  }
}

function paddedSequence(sequence: number): string {
  return sequence.toString().padStart(sequenceDigits, "0");
}

function isMemberId(text: string): boolean {
  return /^[0-9a-f]{1,16}$/.test(text);
}

/** The range of all keys that start with `text`, which ends with a slash. */
function below(text: string): KeyRange {
  const key = Buffer.from(text);
  const end = Buffer.from(key);
  end[end.length - 1] = "/".charCodeAt(0) + 1;
  return { key, end };
}
