import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "@jest/globals";
import { EnvelopeReader, enveloped } from "./envelope.js";

function reading(): { reader: EnvelopeReader; read: string[] } {
  const read: string[] = [];
  return { reader: new EnvelopeReader((flags, message) => read.push(`${flags} ${message.toString()}`)), read };
}

const bytes = Buffer.concat(["one", "", "three"].map((text) => enveloped(Buffer.from(text))));
const messages = ["0 one", "0 ", "0 three"];

describe("EnvelopeReader", () => {
  test("finds several messages in one piece", () => {
    const { reader, read } = reading();
    reader.push(bytes);
    expect(read).toEqual(messages);
  });

  test.each([1, 2, 3, 5, 7, 11])("finds messages in pieces of %d bytes", (size) => {
    const { reader, read } = reading();
    for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
    expect(read).toEqual(messages);
  });

  test("hands the flags on", () => {
    const { reader, read } = reading();
    reader.push(Buffer.from([2, 0, 0, 0, 1, 0x7d]));
    expect(read).toEqual(["2 }"]);
  });

  test.each([
    ["compressed", [1, 0, 0, 0, 1, 7]],
    ["far too long, before it came", [0, 0x10, 0, 0, 0]],
  ])("refuses a message that is %s", (_, envelope) => {
    const { reader, read } = reading();
    expect(() => {
      reader.push(Buffer.from(envelope));
    }).toThrow(expect.objectContaining({ code: Code.Internal }));
    expect(read).toEqual([]);
  });
});
