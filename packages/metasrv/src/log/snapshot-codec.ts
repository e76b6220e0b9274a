import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  BaseSchema,
  type CommandOutcome,
  CommandOutcomeSchema,
  type ForcedRecord as StoredRecord,
  ForcedRecordSchema,
  OutcomeKind,
  type WriterProgress as StoredProgress,
  WriterProgressSchema,
} from "@metasrv/proto/metasrv/store/v1";
import { FieldReader, FieldWriter } from "@metasrv/wire";
import type { ForcedRecord, Outcome } from "../model/command.js";
import { FatalError } from "../model/fatal-error.js";
import type { SnapshotPart, SnapshotTicket, WriterProgress } from "../model/snapshot.js";
import type { TicketContent } from "../model/ticket-content.js";
import { type LockName, lockNameBytes, lockNameOf, type TicketId } from "../model/ticket-ref.js";
import type { LogBase } from "./command-log.js";
import { Contents, isPossibleContent, readContent, writeContent } from "./content-codec.js";

/** Where the log begins, and which snapshot has what came before; `metasrv.store.v1.Base`. */
export interface StoredBase extends LogBase {
  /** Empty when the log has no past. */
  readonly snapshot: string;
  readonly chunks: number;
  /** Size of all chunks, in bytes. */
  readonly bytes: number;
  readonly hashLow: number;
  readonly hashHigh: number;
}

/** The bytes of a base. */
export function encodeBase({ bytes, ...base }: StoredBase): Buffer {
  return Buffer.from(toBinary(BaseSchema, create(BaseSchema, { ...base, bytes: BigInt(bytes) })));
}

/** @throws FatalError for bytes that are no base: without it, nobody knows where the log begins */
export function decodeBase(message: Uint8Array): StoredBase {
  let base;
  try {
    base = fromBinary(BaseSchema, message);
  } catch (cause) {
    throw new FatalError(
      "the base of the log cannot be read: it was damaged or written by other hands; restore etcd from a backup, or remove " +
        "everything under the prefix if no lock is held",
      { cause },
    );
  }
  const { level, revision, revisionOffset, snapshot, chunks, bytes, hashLow, hashHigh } = base;
  return { level, revision, revisionOffset, snapshot, chunks, bytes: Number(bytes), hashLow, hashHigh };
}

const varint = 0;
const bytes = 2;
const tag = (field: number, type: number) => (field << 3) | type;

/** Writes one chunk of a snapshot, `metasrv.store.v1.SnapshotChunk`: tickets are added until it is large enough. */
export class ChunkWriter {
  readonly #writer = new FieldWriter();
  #contents = new Contents();
  #members = new Map<string, number>();

  /** Bytes so far, roughly. */
  get length(): number {
    return this.#writer.length;
  }

  add({ tickets, writers, forced }: SnapshotPart): void {
    for (const ticket of tickets) {
      this.#addTicket(ticket);
    }
    for (const writer of writers) {
      this.#writer.bytes(4, toBinary(WriterProgressSchema, storedProgress(writer)));
    }
    for (const record of forced) {
      this.#writer.bytes(5, toBinary(ForcedRecordSchema, storedRecord(record)));
    }
  }

  /** What was added, as one chunk; the next begins. */
  take(): Buffer {
    for (const memberId of this.#members.keys()) {
      this.#writer.text(1, memberId);
    }
    for (const content of this.#contents.all) {
      const start = this.#writer.open(2);
      writeContent(this.#writer, content);
      this.#writer.close(start);
    }
    this.#contents = new Contents();
    this.#members = new Map();
    return this.#writer.take();
  }

  #addTicket({ name, id, token, content, memberId, attempt }: SnapshotTicket): void {
    let member = this.#members.get(memberId);
    if (member === undefined) {
      member = this.#members.size;
      this.#members.set(memberId, member);
    }
    const writer = this.#writer;
    const start = writer.open(3);
    writer.latin1(1, name);
    writer.latin1(2, id);
    writer.bigint(3, token);
    writer.uint(4, this.#contents.indexOf(content));
    writer.uint(5, member);
    writer.uint(6, attempt);
    writer.close(start);
  }
}

/**
 * Reads a chunk of a snapshot.
 *
 * @throws FatalError when it cannot be read: without it, nobody knows who holds
 */
export function decodeChunk(message: Buffer): SnapshotPart {
  try {
    return readChunk(message);
  } catch (cause) {
    throw new FatalError(
      `a chunk of the snapshot cannot be read (${cause instanceof Error ? cause.message : String(cause)}): it was damaged ` +
        "or written by other hands; restore etcd from a backup, or remove everything under the prefix if no lock is held",
      { cause },
    );
  }
}

/** Contents and members follow the tickets that name them: the message is read twice. */
function readChunk(message: Buffer): SnapshotPart {
  const memberIds: string[] = [];
  const contents: TicketContent[] = [];
  const writers: WriterProgress[] = [];
  const tickets: SnapshotTicket[] = [];
  const forced: ForcedRecord[] = [];
  const first = new FieldReader(message);
  for (let field = first.next(); field !== 0; field = first.next()) {
    switch (field) {
      case tag(1, bytes):
        memberIds.push(first.text());
        break;
      case tag(2, bytes):
        contents.push(readContent(first));
        break;
      case tag(4, bytes):
        writers.push(progressOf(fromBinary(WriterProgressSchema, first.bytes())));
        break;
      case tag(5, bytes):
        forced.push(recordOf(fromBinary(ForcedRecordSchema, first.bytes())));
        break;
      default:
        first.skip(field);
    }
  }
  const second = new FieldReader(message);
  for (let field = second.next(); field !== 0; field = second.next()) {
    if (field === tag(3, bytes)) {
      tickets.push(readTicket(second, contents, memberIds));
    } else {
      second.skip(field);
    }
  }
  return { tickets, writers, forced };
}

function readTicket(
  reader: FieldReader,
  contents: readonly TicketContent[],
  memberIds: readonly string[],
): SnapshotTicket {
  let name = "";
  let id = "";
  let token = 0n;
  let contentIndex = 0;
  let memberIndex = 0;
  let attempt = 0;
  const end = reader.enter();
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    switch (field) {
      case tag(1, bytes):
        name = reader.latin1();
        break;
      case tag(2, bytes):
        id = reader.latin1();
        break;
      case tag(3, varint):
        token = reader.bigint();
        break;
      case tag(4, varint):
        contentIndex = reader.uint32();
        break;
      case tag(5, varint):
        memberIndex = reader.uint32();
        break;
      case tag(6, varint):
        attempt = reader.uint32();
        break;
      default:
        reader.skip(field);
    }
  }
  reader.leave(end);
  const content = contents[contentIndex];
  const memberId = memberIds[memberIndex];
  if (content === undefined || memberId === undefined) {
    throw new Error("a ticket names a content or a member that is not there");
  }
  if (!isPossibleContent(content, name)) {
    throw new Error("a ticket takes more permits than there are, or asks for one lock twice");
  }
  return { name: name as LockName, id: id as TicketId, token, content, memberId, attempt };
}

const kinds: Readonly<Record<Outcome["kind"], OutcomeKind>> = {
  holds: OutcomeKind.HOLDS,
  waits: OutcomeKind.WAITS,
  refused: OutcomeKind.REFUSED,
  superseded: OutcomeKind.SUPERSEDED,
  done: OutcomeKind.DONE,
  "not-there": OutcomeKind.NOT_THERE,
};

function storedRecord({ name, unixMs, ...record }: ForcedRecord): StoredRecord {
  return create(ForcedRecordSchema, { ...record, name: lockNameBytes(name), unixMs: BigInt(unixMs) });
}

function recordOf({ name, token, owner, held, actor, reason, unixMs, place }: StoredRecord): ForcedRecord {
  return { name: lockNameOf(name), token, owner, held, actor, reason, unixMs: Number(unixMs), place };
}

function storedProgress({ memberId, settled, entries }: WriterProgress): StoredProgress {
  return create(WriterProgressSchema, {
    memberId,
    settled: BigInt(settled),
    entries: entries.map(({ sequence, outcomes }) => ({
      sequence: BigInt(sequence),
      outcomes: outcomes.map((outcome) =>
        create(CommandOutcomeSchema, {
          kind: kinds[outcome.kind],
          ...("token" in outcome && { token: outcome.token, moved: outcome.moved }),
        }),
      ),
    })),
  });
}

function progressOf({ memberId, settled, entries }: StoredProgress): WriterProgress {
  return {
    memberId,
    settled: Number(settled),
    entries: entries.map(({ sequence, outcomes }) => ({
      sequence: Number(sequence),
      outcomes: outcomes.map(outcomeOf),
    })),
  };
}

function outcomeOf({ kind, token, moved }: CommandOutcome): Outcome {
  switch (kind) {
    case OutcomeKind.HOLDS:
      return { kind: "holds", token, moved };
    case OutcomeKind.WAITS:
      return { kind: "waits", token, moved };
    case OutcomeKind.REFUSED:
      return { kind: "refused" };
    case OutcomeKind.SUPERSEDED:
      return { kind: "superseded" };
    case OutcomeKind.DONE:
      return { kind: "done" };
    case OutcomeKind.NOT_THERE:
      return { kind: "not-there" };
    default:
      throw new Error(`an outcome of kind ${kind} is none that this version knows`);
  }
}
