import { describe, expect, test } from "@jest/globals";
import { enveloped, envelopes } from "./envelopes.js";

const bytes = (...values: number[]) => new Uint8Array(values);

async function* inChunks(all: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < all.length; at += size) {
    yield await Promise.resolve(all.subarray(at, at + size));
  }
}

async function read(all: Uint8Array, size = all.length) {
  const messages = [];
  for await (const { flags, message } of envelopes(inChunks(all, size))) {
    messages.push([flags, ...message]);
  }
  return messages;
}

const stream = bytes(0, 0, 0, 0, 2, 7, 8, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 9);

describe("the bytes of a stream", () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 100])("are split into messages when they come %i at a time", async (size) => {
    expect(await read(stream, size)).toEqual([[0, 7, 8], [0], [2, 9]]);
  });

  test("that end in the middle of a message are an error", async () => {
    await expect(read(stream.subarray(0, -1))).rejects.toThrow("broke in the middle of a message");
  });

  test("of a message begin with no flags and its length", () => {
    expect(enveloped(new Uint8Array(0x0102)).subarray(0, 5)).toEqual(bytes(0, 0, 0, 1, 2));
  });
});
