import { isDeepStrictEqual } from "node:util";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "@jest/globals";
import { CommandSchema, EntrySchema } from "@metasrv/proto/metasrv/store/v1";
import { FieldWriter, MalformedMessageError } from "@metasrv/wire";
import fc from "fast-check";
import { anyEntry, entryOf, makePossible, messageOf } from "../../test-support/generated-entry.js";
import {
  addUnknown,
  fieldsAndValuesOf,
  fieldsOf,
  fieldsUsed,
  filled,
  withoutEach,
} from "../../test-support/schema-fields.js";
import { create, idOf, nameOf } from "../../test-support/told.js";
import { wireKind } from "../../test-support/wire-check.js";
import { Fold } from "../fold/fold.js";
import { type Command, type Entry, knownLevel } from "../model/command.js";
import { FatalError } from "../model/fatal-error.js";
import type { TicketContent } from "../model/ticket-content.js";
import { decodeEntry, encodeEntry, sizeOfCommand } from "./entry-codec.js";

const anyLevel = 2 ** 32 - 1;
const empty: Entry = { level: 1, settled: 0, seen: undefined, commands: [] };

const read = (bytes: Uint8Array, known = anyLevel) => decodeEntry(Buffer.from(bytes), known);

/** What reading gives: an entry, or the kind of its refusal. Anything else that is thrown fails the test. */
function readOrRefused(bytes: Uint8Array): Entry | "malformed" | "fatal" {
  try {
    return read(bytes);
  } catch (error) {
    if (error instanceof MalformedMessageError) {
      return "malformed";
    }
    if (error instanceof FatalError) {
      return "fatal";
    }
    throw error;
  }
}

/** What reading must give, by protobuf-es; undefined where that refuses. */
function byLibrary(bytes: Uint8Array): Entry | "fatal" | undefined {
  let message;
  try {
    message = fromBinary(EntrySchema, bytes);
  } catch {
    return undefined;
  }
  return entryOf(message) ?? "fatal";
}

describe("an entry", () => {
  test("is written as protobuf-es reads it", () => {
    fc.assert(
      fc.property(anyEntry, (entry) => {
        expect(entryOf(fromBinary(EntrySchema, encodeEntry(entry)))).toEqual(entry);
      }),
    );
  });

  test("is read as protobuf-es writes it, with the shared contents before what shares them", () => {
    fc.assert(
      fc.property(anyEntry, (entry) => {
        expect(read(toBinary(EntrySchema, messageOf(entry)))).toEqual(entry);
      }),
    );
  });

  test("has every content once, however many of its commands share it", () => {
    fc.assert(
      fc.property(anyEntry, (entry) => {
        const doubled = { ...entry, commands: [...entry.commands, ...structuredClone(entry.commands)] };
        const { contents } = fromBinary(EntrySchema, encodeEntry(doubled));
        const creates = entry.commands.filter((command) => command.kind === "create");
        const distinct = new Set(
          creates.map(({ content }) =>
            JSON.stringify([content.ttlMs, content.owner, content.resumable, content.permits, content.limit]),
          ),
        );
        expect(contents).toHaveLength(distinct.size);
        expect(read(encodeEntry(doubled))).toEqual(doubled);
      }),
    );
  });

  test("takes no more bytes than its commands are said to take", () => {
    fc.assert(
      fc.property(anyEntry, (entry) => {
        const sizes = entry.commands.reduce((sum, command) => sum + sizeOfCommand(command), 0);
        const without = encodeEntry({ ...entry, commands: [] }).length;
        expect(encodeEntry(entry).length - without).toBeLessThanOrEqual(sizes);
      }),
    );
  });

  test("may have as many commands as there are places in a revision", () => {
    const commands = Array.from({ length: 4096 }, (_, n) => create(n, `lock ${n % 7}`, { owner: `owner ${n}` }));
    expect(read(encodeEntry({ ...empty, commands }))).toEqual({ ...empty, commands });
  });
});

describe("every field of the schema", () => {
  test("is written: whoever adds one must say here which entry has it", () => {
    const ref = { name: nameOf("a"), id: idOf(1) };
    const removals = (["released", "expired", "cancelled", "abandoned"] as const).map((cause): Command => {
      return { kind: "remove", ...ref, token: 1n, cause, memberId: "m1" };
    });
    const content = (ttlMs: number): TicketContent => ({
      ttlMs,
      owner: "an owner",
      resumable: true,
      permits: 2,
      limit: 3,
      extras: {
        others: [{ name: nameOf("b"), permits: 1, limit: 2 }],
        labels: [["key", "text"]],
        within: [{ name: nameOf("c"), token: 3n }],
        value: "value",
      },
    });
    const entry: Entry = {
      level: 1,
      settled: 1,
      seen: { revision: 1n, low: 1, high: 1 },
      commands: [
        { kind: "create", ...ref, content: content(1), attempt: 1, try: true },
        { kind: "create", ...ref, content: content(2), attempt: 1, try: true },
        { kind: "renew", ...ref, token: 1n, ttlMs: 1, downgrade: true, value: "value" },
        ...removals,
        { kind: "adopt", ...ref, token: 1n, memberId: "m1" },
        { kind: "force", name: nameOf("a"), token: 1n, actor: "an actor", reason: "why", unixMs: 5 },
        { kind: "raise-floor", token: 1n },
        { kind: "raise-level", level: 1 },
      ],
    };
    const all = fieldsAndValuesOf(EntrySchema);
    expect(fieldsUsed(EntrySchema, fromBinary(EntrySchema, encodeEntry(entry)))).toEqual(all);
    expect(fieldsUsed(EntrySchema, messageOf(entry))).toEqual(all);
  });

  test("is read: without it, the entry is another, or none", () => {
    const message = filled(EntrySchema);
    makePossible(message.contents);
    const whole = readOrRefused(toBinary(EntrySchema, message));
    expect(whole).toEqual(entryOf(message));
    const noticed = new Set<string>();
    withoutEach(EntrySchema, message, (field) => {
      if (!isDeepStrictEqual(readOrRefused(toBinary(EntrySchema, message)), whole)) {
        noticed.add(field);
      }
    });
    expect(noticed).toEqual(fieldsOf(EntrySchema));
    expect(readOrRefused(toBinary(EntrySchema, message))).toEqual(whole);
  });
});

describe("what a newer version has written", () => {
  test("in fields that this one does not know is passed over, in every message: they change no rule", () => {
    const message = filled(EntrySchema);
    makePossible(message.contents);
    const entry = read(toBinary(EntrySchema, message));
    addUnknown(EntrySchema, message);
    const bytes = toBinary(EntrySchema, message);
    expect(bytes.length).toBeGreaterThan(toBinary(EntrySchema, filled(EntrySchema)).length + 2_000);
    expect(read(bytes)).toEqual(entry);
  });

  test("in an entry of a higher level is not read but its level, which ends the process", () => {
    const bytes = withCommand(knownLevel + 1, (writer) => {
      const start = writer.open(CommandSchema.fields.length + 1);
      writer.uint(1, 5);
      writer.close(start);
    });
    expect(read(bytes, knownLevel)).toEqual({ ...empty, level: knownLevel + 1 });
    expect(() => {
      const entry = read(bytes, knownLevel);
      new Fold().apply({ memberId: "m1", sequence: 1, revision: 1n, entry }, true);
    }).toThrow(/at level 3, .* up to 2: .* upgrade this server/);
  });

  test("as a command of a level that is known ends the process: it is never skipped", () => {
    const newCommand = CommandSchema.fields.length + 1;
    const bytes = withCommand(1, (writer) => {
      writer.close(writer.open(newCommand));
    });
    expect(() => read(bytes, 1)).toThrow(FatalError);
    expect(() => read(bytes, 1)).toThrow(/kind 0.* upgrade this server/);
  });

  test.each<[string, (writer: FieldWriter) => void]>([
    ["a command that says nothing", () => undefined],
    [
      "a command that is a number",
      (writer) => {
        writer.uint(1, 1);
      },
    ],
    [
      "a cause that no version has",
      (writer) => {
        const start = writer.open(3);
        writer.uint(4, 5);
        writer.close(start);
      },
    ],
    [
      "no cause",
      (writer) => {
        writer.close(writer.open(3));
      },
    ],
    [
      "a content that is not there",
      (writer) => {
        const start = writer.open(1);
        writer.uint(3, 1);
        writer.close(start);
      },
    ],
  ])("or rather nobody has: %s ends the process", (_, write) => {
    expect(() => read(withCommand(1, write), 1)).toThrow(FatalError);
    // Of a level that is not known, none of it is looked at.
    expect(read(withCommand(2, write), 1)).toEqual({ ...empty, level: 2 });
  });
});

describe("bytes that are no entry", () => {
  test("because they are cut short are refused where protobuf-es refuses, and read alike where it does not", () => {
    fc.assert(
      fc.property(anyEntry, (entry) => {
        for (const bytes of [encodeEntry(entry), toBinary(EntrySchema, messageOf(entry))]) {
          const step = Math.ceil(bytes.length / 200);
          for (let length = 0; length < bytes.length; length += step) {
            const cut = bytes.subarray(0, length);
            expect(readOrRefused(cut)).toEqual(byLibrary(cut) ?? "malformed");
          }
        }
      }),
      { numRuns: 50 },
    );
  });

  test("because they are damaged are refused, and what is an entry still is read as protobuf-es reads it", () => {
    const damage = fc.record({
      at: fc.nat(),
      remove: fc.nat({ max: 3 }),
      insert: fc.uint8Array({ maxLength: 3 }),
      byLibrary: fc.boolean(),
    });
    const seen = { malformed: 0, odd: 0, plain: 0 };
    fc.assert(
      fc.property(anyEntry, fc.array(damage, { minLength: 1, maxLength: 3 }), (entry, damages) => {
        const bytes =
          damages[0]?.byLibrary === true ? [...toBinary(EntrySchema, messageOf(entry))] : [...encodeEntry(entry)];
        for (const { at, remove, insert } of damages) {
          bytes.splice(at % (bytes.length + 1), remove, ...insert);
        }
        const message = Uint8Array.from(bytes);
        const kind = wireKind(EntrySchema, message);
        seen[kind]++;
        const result = readOrRefused(message);
        if (kind === "malformed") {
          expect(result).toBe("malformed");
        } else if (kind === "plain") {
          expect(result).toEqual(byLibrary(message));
        }
      }),
      { numRuns: 3_000 },
    );
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(20);
  });

  test("or are anything at all throw nothing but a refusal", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const kind = wireKind(EntrySchema, bytes);
        expect(kind !== "malformed" || readOrRefused(bytes) === "malformed").toBe(true);
      }),
      { numRuns: 3_000 },
    );
  });

  test.each<[string, Command | Partial<Entry>]>([
    ["a TTL", { kind: "renew", name: nameOf("a"), id: idOf(1), token: 1n, ttlMs: 2 ** 53, downgrade: false }],
    ["a sequence", { settled: 2 ** 53 }],
  ])("because %s is larger than a number can be are refused, though protobuf-es reads them", (_, what) => {
    const entry = "kind" in what ? { ...empty, commands: [what] } : { ...empty, ...what };
    const bytes = toBinary(EntrySchema, messageOf(entry));
    expect(byLibrary(bytes)).toEqual(entry);
    expect(readOrRefused(bytes)).toBe("malformed");
  });
});

/** An entry of a level, with one command that is written by hand. */
function withCommand(level: number, write: (writer: FieldWriter) => void): Buffer {
  const writer = new FieldWriter();
  writer.uint(1, level);
  const start = writer.open(5);
  write(writer);
  writer.close(start);
  return writer.take();
}
