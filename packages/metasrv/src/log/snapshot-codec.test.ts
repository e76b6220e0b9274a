import { isDeepStrictEqual } from "node:util";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "@jest/globals";
import {
  BaseSchema,
  type SnapshotChunk,
  SnapshotChunkSchema,
  TicketContentSchema,
} from "@metasrv/proto/metasrv/store/v1";
import fc from "fast-check";
import { anyPart, chunkOf, partOf } from "../../test-support/generated-chunk.js";
import { anyNumber, anyToken, anyUint32, makePossible } from "../../test-support/generated-entry.js";
import { generatedLog, loadedFrom, partsOf } from "../../test-support/generated-log.js";
import { ticketsOf } from "../../test-support/plain-table.js";
import {
  addUnknown,
  fieldsAndValuesOf,
  fieldsOf,
  fieldsUsed,
  filled,
  withoutEach,
} from "../../test-support/schema-fields.js";
import { wireKind } from "../../test-support/wire-check.js";
import { Fold } from "../fold/fold.js";
import type { Outcome } from "../model/command.js";
import { FatalError } from "../model/fatal-error.js";
import type { SnapshotPart } from "../model/snapshot.js";
import { lockNameOf, ticketIdFrom } from "../model/ticket-ref.js";
import { ChunkWriter, decodeBase, decodeChunk, encodeBase, type StoredBase } from "./snapshot-codec.js";

function written(...parts: readonly SnapshotPart[]): Buffer {
  const writer = new ChunkWriter();
  for (const part of parts) {
    writer.add(part);
  }
  return writer.take();
}

/** What reading gives; undefined for a refusal. Anything else that is thrown fails the test. */
function readOrRefused<T>(read: (bytes: Buffer) => T, bytes: Uint8Array): T | undefined {
  try {
    return read(Buffer.from(bytes));
  } catch (error) {
    if (error instanceof FatalError) {
      return undefined;
    }
    throw error;
  }
}

function byLibrary(bytes: Uint8Array): SnapshotPart | undefined {
  let message: SnapshotChunk;
  try {
    message = fromBinary(SnapshotChunkSchema, bytes);
  } catch {
    return undefined;
  }
  return partOf(message);
}

describe("a chunk of a snapshot", () => {
  test("is written as protobuf-es reads it, whatever was added to it", () => {
    fc.assert(
      fc.property(fc.array(anyPart, { maxLength: 3 }), (parts) => {
        const whole = {
          tickets: parts.flatMap(({ tickets }) => tickets),
          writers: parts.flatMap(({ writers }) => writers),
          forced: parts.flatMap(({ forced }) => forced),
        };
        const bytes = written(...parts);
        expect(partOf(fromBinary(SnapshotChunkSchema, bytes))).toEqual(whole);
        expect(decodeChunk(bytes)).toEqual(whole);
      }),
    );
  });

  test("is read as protobuf-es writes it, with what tickets share before the tickets", () => {
    fc.assert(
      fc.property(anyPart, (part) => {
        expect(decodeChunk(Buffer.from(toBinary(SnapshotChunkSchema, chunkOf(part))))).toEqual(part);
      }),
    );
  });

  test("stands for itself: the next one of the same writer names its own contents and members", () => {
    fc.assert(
      fc.property(anyPart, anyPart, (first, second) => {
        const writer = new ChunkWriter();
        writer.add(first);
        writer.take();
        expect(writer.length).toBe(0);
        writer.add(second);
        expect(writer.take()).toEqual(written(second));
      }),
    );
  });

  test("has every content and every member once", () => {
    fc.assert(
      fc.property(anyPart, ({ tickets, writers, forced }) => {
        const bytes = written({ tickets: [...tickets, ...structuredClone(tickets)], writers, forced });
        const { contents, memberIds } = fromBinary(SnapshotChunkSchema, bytes);
        expect(memberIds).toEqual([...new Set(tickets.map(({ memberId }) => memberId))]);
        const distinct = new Set(
          contents.map((content) => Buffer.from(toBinary(TicketContentSchema, content)).toString("hex")),
        );
        expect(contents).toHaveLength(distinct.size);
      }),
    );
  });

  test("brings a fold back, tickets and members' progress, through the bytes of all its chunks", () => {
    fc.assert(
      fc.property(generatedLog, fc.integer({ min: 1, max: 4 }), (log, count) => {
        const fold = new Fold();
        log.forEach(({ logged }) => fold.apply(logged, true));
        const snapshot = fold.snapshot();
        const chunks = partsOf(snapshot, count).map((part) => decodeChunk(written(part)));
        const loaded = loadedFrom(fold, snapshot, chunks);
        expect(ticketsOf(loaded)).toEqual(ticketsOf(fold));
        for (const { logged } of log) {
          expect(loaded.outcomes(logged.memberId, logged.sequence)).toEqual(
            fold.outcomes(logged.memberId, logged.sequence),
          );
          expect(loaded.apply({ ...logged, revision: loaded.base.revision + 1n }, true)).toBeUndefined();
        }
      }),
    );
  });
});

describe("every field of a chunk's schema", () => {
  test("is written: whoever adds one must say here which part has it", () => {
    const ref = { name: lockNameOf(Buffer.from("a")), id: ticketIdFrom(Buffer.alloc(16)) };
    const ticket = (ttlMs: number, memberId: string) => {
      return {
        ...ref,
        token: 1n,
        content: {
          ttlMs,
          owner: "an owner",
          resumable: true,
          permits: 2,
          limit: 3,
          extras: {
            others: [{ name: lockNameOf(Buffer.from("b")), permits: 1, limit: 2 }],
            labels: [["key", "text"] as const],
            within: [{ name: lockNameOf(Buffer.from("c")), token: 3n }],
            value: "value",
          },
        },
        memberId,
        attempt: 1,
      };
    };
    const outcomes: Outcome[] = [
      { kind: "holds", token: 1n, moved: true },
      { kind: "waits", token: 1n, moved: true },
      ...(["refused", "superseded", "done", "not-there"] as const).map((kind) => ({ kind })),
    ];
    const part: SnapshotPart = {
      tickets: [ticket(1, "m1"), ticket(2, "m2")],
      writers: [{ memberId: "m1", settled: 1, entries: [{ sequence: 2, outcomes }] }],
      forced: [
        {
          name: ref.name,
          token: 1n,
          owner: "an owner",
          held: true,
          actor: "an actor",
          reason: "why",
          unixMs: 5,
          place: 9n,
        },
      ],
    };
    const all = fieldsAndValuesOf(SnapshotChunkSchema);
    expect(fieldsUsed(SnapshotChunkSchema, fromBinary(SnapshotChunkSchema, written(part)))).toEqual(all);
    expect(fieldsUsed(SnapshotChunkSchema, chunkOf(part))).toEqual(all);
  });

  test("is read: without it, the part is another, or none; and what a newer version adds is passed over", () => {
    const message = filled(SnapshotChunkSchema);
    makePossible(message.contents);
    const read = () => readOrRefused(decodeChunk, toBinary(SnapshotChunkSchema, message));
    const whole = read();
    expect(whole).toEqual(partOf(message));
    const noticed = new Set<string>();
    withoutEach(SnapshotChunkSchema, message, (field) => {
      if (!isDeepStrictEqual(read(), whole)) {
        noticed.add(field);
      }
    });
    expect(noticed).toEqual(fieldsOf(SnapshotChunkSchema));
    addUnknown(SnapshotChunkSchema, message);
    expect(read()).toEqual(whole);
  });
});

describe("bytes that are no chunk", () => {
  test("because they are cut short are refused where protobuf-es refuses, and read alike where it does not", () => {
    fc.assert(
      fc.property(anyPart, (part) => {
        for (const bytes of [written(part), toBinary(SnapshotChunkSchema, chunkOf(part))]) {
          const step = Math.ceil(bytes.length / 200);
          for (let length = 0; length < bytes.length; length += step) {
            const cut = bytes.subarray(0, length);
            expect(readOrRefused(decodeChunk, cut)).toEqual(byLibrary(cut));
          }
        }
      }),
      { numRuns: 30 },
    );
  });

  test("because they are damaged end the process, and what is a chunk still is read as protobuf-es reads it", () => {
    const damage = fc.record({ at: fc.nat(), remove: fc.nat({ max: 3 }), insert: fc.uint8Array({ maxLength: 3 }) });
    const seen = { malformed: 0, odd: 0, plain: 0 };
    fc.assert(
      fc.property(anyPart, fc.array(damage, { minLength: 1, maxLength: 3 }), ({ tickets }, damages) => {
        const bytes = [...written({ tickets, writers: [], forced: [] })];
        for (const { at, remove, insert } of damages) {
          bytes.splice(at % (bytes.length + 1), remove, ...insert);
        }
        const chunk = Uint8Array.from(bytes);
        const kind = wireKind(SnapshotChunkSchema, chunk);
        seen[kind]++;
        const result = readOrRefused(decodeChunk, chunk);
        if (kind !== "odd") {
          expect(result).toEqual(kind === "plain" ? byLibrary(chunk) : undefined);
        }
      }),
      { numRuns: 2_000 },
    );
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(20);
  });

  test("or name an outcome that there is not end the process, and say what to do", () => {
    const message = filled(SnapshotChunkSchema);
    for (const kind of [0, 99]) {
      message.writers[0]?.entries[0]?.outcomes.forEach((outcome) => {
        Object.assign(outcome, { kind });
      });
      const bytes = Buffer.from(toBinary(SnapshotChunkSchema, message));
      expect(() => decodeChunk(bytes)).toThrow(FatalError);
      expect(() => decodeChunk(bytes)).toThrow(/an outcome of kind .* restore etcd from a backup/);
    }
  });
});

describe("the base of a log", () => {
  const anyBase: fc.Arbitrary<StoredBase> = fc.record({
    level: anyUint32,
    revision: anyToken,
    revisionOffset: anyToken,
    snapshot: fc.string(),
    chunks: anyUint32,
    bytes: anyNumber,
    hashLow: anyUint32,
    hashHigh: anyUint32,
  });

  test("is read as it was written", () => {
    fc.assert(
      fc.property(anyBase, (base) => {
        expect(decodeBase(encodeBase(base))).toEqual(base);
      }),
    );
  });

  test("has every field of its schema, in what is written and in what is read", () => {
    const base = decodeBase(toBinary(BaseSchema, filled(BaseSchema)));
    expect(Object.values(base).every((value) => ![0, 0n, ""].includes(value as never))).toBe(true);
    expect(Object.keys(base)).toHaveLength(BaseSchema.fields.length);
    expect(fieldsUsed(BaseSchema, fromBinary(BaseSchema, encodeBase(base)))).toEqual(fieldsOf(BaseSchema));
  });

  test("ends the process where it cannot be read, and says what to do", () => {
    const bytes = encodeBase(decodeBase(toBinary(BaseSchema, filled(BaseSchema))));
    expect(() => decodeBase(bytes.subarray(0, -1))).toThrow(FatalError);
    expect(() => decodeBase(Buffer.from("{}"))).toThrow(/restore etcd from a backup, or remove everything/);
  });
});
