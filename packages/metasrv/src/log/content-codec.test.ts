import { isDeepStrictEqual } from "node:util";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "@jest/globals";
import { TicketContentSchema } from "@metasrv/proto/metasrv/store/v1";
import { FieldReader, FieldWriter } from "@metasrv/wire";
import fc from "fast-check";
import { anyContent, contentMessage } from "../../test-support/generated-entry.js";
import { shared, type TicketContent } from "../model/ticket-content.js";
import { Contents, readContent, writeContent } from "./content-codec.js";

function written(content: TicketContent): Buffer {
  const writer = new FieldWriter();
  writeContent(writer, content);
  return writer.take();
}

/** Reads a content out of a message in which it is field 1. */
function read(message: Uint8Array): TicketContent {
  const writer = new FieldWriter();
  writer.bytes(1, message);
  const reader = new FieldReader(writer.take());
  reader.next();
  const content = readContent(reader);
  expect(reader.next()).toBe(0);
  return content;
}

/** Contents that differ in one field, or are made so that their fields could be taken for one another's. */
const similar = fc.record({
  ttlMs: fc.constantFrom(1, 11),
  owner: fc.constantFrom("", "1", "1 true", "true", " true ", "false 1"),
  resumable: fc.boolean(),
  permits: fc.constantFrom(1, 11),
  limit: fc.constantFrom(11, 111),
});

describe("a content", () => {
  test("is written as protobuf-es reads it, and read as protobuf-es writes it", () => {
    fc.assert(
      fc.property(anyContent, (content) => {
        const stored = create(TicketContentSchema, contentMessage(content));
        expect(fromBinary(TicketContentSchema, written(content))).toEqual(stored);
        expect(read(toBinary(TicketContentSchema, stored))).toEqual(content);
      }),
    );
  });

  test("is one object for as long as it is known, however often it is read", () => {
    fc.assert(
      fc.property(anyContent, (content) => {
        expect(read(written(content))).toBe(read(written(content)));
      }),
    );
  });

  test("is read rightly however many others were read before", () => {
    const contents = Array.from({ length: 2_500 }, (_, n) => ({
      ttlMs: n,
      owner: `owner ${n % 50}`,
      resumable: n % 3 === 0,
      permits: (n % 4) + 1,
      limit: (n % 7) + 4,
    }));
    for (const content of [...contents, ...contents]) {
      expect(read(written(content))).toEqual(content);
    }
  });

  test("does not change with the bytes that it was read from", () => {
    const content = { ttlMs: 7, owner: "an owner whose name is longer than a short text", resumable: true, ...shared };
    const writer = new FieldWriter();
    writer.bytes(1, written(content));
    const message = writer.take();
    const reader = new FieldReader(message);
    reader.next();
    const kept = readContent(reader);
    message.fill(0);
    expect(kept).toEqual(content);
    expect(read(written(content))).toEqual(content);
  });
});

describe("the contents of one message", () => {
  test("have each content once, by what it says and not by which object it is", () => {
    fc.assert(
      fc.property(fc.array(similar), (all) => {
        const contents = new Contents();
        const distinct: TicketContent[] = [];
        for (const content of all) {
          let index = distinct.findIndex((other) => isDeepStrictEqual({ ...other }, { ...content }));
          if (index === -1) {
            index = distinct.push(content) - 1;
          }
          expect(contents.indexOf(content)).toBe(index);
          expect(contents.indexOf({ ...content })).toBe(index);
        }
        expect(contents.all).toEqual(distinct);
      }),
    );
  });
});
