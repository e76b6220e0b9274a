import { create } from "@bufbuild/protobuf";
import {
  OutcomeKind,
  type SnapshotChunk,
  SnapshotChunkSchema,
  type WriterProgress as StoredProgress,
} from "@metasrv/proto/metasrv/store/v1";
import fc from "fast-check";
import type { Outcome } from "../src/model/command.js";
import type { SnapshotPart } from "../src/model/snapshot.js";
import { lockNameBytes, lockNameOf, ticketIdBytes, ticketIdFrom } from "../src/model/ticket-ref.js";
import {
  anyContent,
  anyId,
  anyMemberId,
  anyName,
  anyNumber,
  anyToken,
  anyUint32,
  contentMessage,
  contentOf,
  fitting,
  isFitting,
} from "./generated-entry.js";

const anyOutcome: fc.Arbitrary<Outcome> = fc.oneof(
  fc.record({ kind: fc.constantFrom("holds", "waits"), token: anyToken, moved: fc.boolean() }),
  fc.record({ kind: fc.constantFrom("refused", "superseded", "done", "not-there") }),
);

/** A part of a snapshot with any values that its fields can have. */
export const anyPart: fc.Arbitrary<SnapshotPart> = fc.record({
  tickets: fc.array(
    fc
      .record({
        name: anyName,
        id: anyId,
        token: anyToken,
        content: anyContent,
        memberId: anyMemberId,
        attempt: anyUint32,
      })
      .map((ticket) => ({ ...ticket, content: fitting(ticket.name, ticket.content) })),
    { maxLength: 8 },
  ),
  writers: fc.array(
    fc.record({
      memberId: anyMemberId,
      settled: anyNumber,
      entries: fc.array(fc.record({ sequence: anyNumber, outcomes: fc.array(anyOutcome, { maxLength: 4 }) }), {
        maxLength: 4,
      }),
    }),
    { maxLength: 3 },
  ),
  forced: fc.array(
    fc.record({
      name: anyName,
      token: anyToken,
      owner: fc.string(),
      held: fc.boolean(),
      actor: fc.string(),
      reason: fc.string({ unit: "binary" }),
      unixMs: anyNumber,
      place: anyToken,
    }),
    { maxLength: 3 },
  ),
});

const kinds: Readonly<Record<Outcome["kind"], OutcomeKind>> = {
  holds: OutcomeKind.HOLDS,
  waits: OutcomeKind.WAITS,
  refused: OutcomeKind.REFUSED,
  superseded: OutcomeKind.SUPERSEDED,
  done: OutcomeKind.DONE,
  "not-there": OutcomeKind.NOT_THERE,
};

/** The message that a part is, with a content and a member for each ticket. */
export function chunkOf({ tickets, writers, forced }: SnapshotPart): SnapshotChunk {
  return create(SnapshotChunkSchema, {
    memberIds: tickets.map(({ memberId }) => memberId),
    contents: tickets.map(({ content }) => contentMessage(content)),
    tickets: tickets.map(({ name, id, token, attempt }, index) => {
      return { name: lockNameBytes(name), id: ticketIdBytes(id), token, attempt, content: index, member: index };
    }),
    writers: writers.map(({ memberId, settled, entries }) => ({
      memberId,
      settled: BigInt(settled),
      entries: entries.map(({ sequence, outcomes }) => ({
        sequence: BigInt(sequence),
        outcomes: outcomes.map((outcome) => ({ ...outcome, kind: kinds[outcome.kind] })),
      })),
    })),
    forced: forced.map((record) => ({ ...record, name: lockNameBytes(record.name), unixMs: BigInt(record.unixMs) })),
  });
}

/** The part that a message is; undefined where it names what is not there, or an outcome that there is not. */
export function partOf({ memberIds, contents, tickets, writers, forced }: SnapshotChunk): SnapshotPart | undefined {
  const read = tickets.flatMap(({ name, id, token, content: at, member, attempt }) => {
    const content = contents[at];
    const memberId = memberIds[member];
    const known = content && contentOf(content);
    if (known === undefined || memberId === undefined || !isFitting(lockNameOf(name), known)) {
      return [];
    }
    return [{ name: lockNameOf(name), id: ticketIdFrom(id), token, content: known, memberId, attempt }];
  });
  const progress = writers.map(progressOf);
  const known = progress.filter((one) => one !== undefined);
  const isWhole = read.length === tickets.length && known.length === writers.length;
  const records = forced.map(({ name, token, owner, held, actor, reason, unixMs, place }) => {
    return { name: lockNameOf(name), token, owner, held, actor, reason, unixMs: Number(unixMs), place };
  });
  return isWhole ? { tickets: read, writers: known, forced: records } : undefined;
}

function progressOf({ memberId, settled, entries }: StoredProgress): SnapshotPart["writers"][number] | undefined {
  const outcomes = entries.flatMap((entry) => entry.outcomes.map(({ kind }) => kindOf(kind)));
  if (outcomes.includes(undefined)) {
    return undefined;
  }
  return {
    memberId,
    settled: Number(settled),
    entries: entries.map((entry) => ({
      sequence: Number(entry.sequence),
      outcomes: entry.outcomes.map(({ kind: number, token, moved }): Outcome => {
        const kind = kindOf(number) ?? "done";
        return kind === "holds" || kind === "waits" ? { kind, token, moved } : { kind };
      }),
    })),
  };
}

function kindOf(number: OutcomeKind): Outcome["kind"] | undefined {
  const [kind] = Object.entries(kinds).find(([, known]) => known === number) ?? [];
  return kind as Outcome["kind"] | undefined;
}
