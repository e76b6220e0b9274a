import { describe, expect, test } from "@jest/globals";
import { enveloped, EnvelopeReader, MessageTooLargeError } from "./envelope.js";

function reading(maxBytes?: number) {
  const read: string[] = [];
  const reader = new EnvelopeReader(maxBytes);
  const push = (bytes: Buffer) => {
    reader.push(bytes, (message, flags) => read.push(`${flags} ${message.toString()}`));
  };
  return { reader, push, read };
}

const bytes = Buffer.concat(["one", "", "three"].map((text) => enveloped(Buffer.from(text))));
const messages = ["0 one", "0 ", "0 three"];

describe("an envelope reader", () => {
  test("finds several messages in one piece", () => {
    const { push, read, reader } = reading();
    push(bytes);
    expect(read).toEqual(messages);
    expect(reader.incomplete).toBe(false);
  });

  test.each([1, 2, 3, 5, 7, 11])("finds messages in pieces of %d bytes", (size) => {
    const { push, read } = reading();
    for (let at = 0; at < bytes.length; at += size) {
      push(bytes.subarray(at, at + size));
    }
    expect(read).toEqual(messages);
  });

  test("hands the flags on", () => {
    const { push, read } = reading();
    push(enveloped(Buffer.from("}"), 2));
    expect(read).toEqual(["2 }"]);
  });

  test("knows whether the bytes end within a message", () => {
    const { push, reader } = reading();
    push(bytes.subarray(0, 4));
    expect(reader.incomplete).toBe(true);
  });

  test("refuses a message that is too long before it has come, and reads nothing after it", () => {
    const { push, read } = reading(3);
    expect(() => {
      push(Buffer.concat([enveloped(Buffer.from("one")), Buffer.of(0, 0, 0, 0, 4)]));
    }).toThrow(new MessageTooLargeError(4, 3));
    push(enveloped(Buffer.from("two")));
    expect(read).toEqual(["0 one"]);
  });
});
