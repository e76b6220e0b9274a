import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";

/**
 * What bytes are to a schema, by the rules of protobuf's encoding alone:
 *
 * - `malformed`: no message. protobuf-es reads beyond the end of an inner message, and does not notice some
 * - `odd`: a message, but with what no writer writes: a known field as another type than its own, a message or a choice given
 *   twice, a number that is larger than its type or 2^53 - 1
 * - `plain`: a message that every reader reads alike
 */
export type WireKind = "malformed" | "odd" | "plain";

/** Tells what the bytes are to the schema. */
export function wireKind(schema: DescMessage, bytes: Uint8Array): WireKind {
  try {
    return isPlain(schema, bytes) ? "plain" : "odd";
  } catch (error) {
    if (error instanceof Malformed) {
      return "malformed";
    }
    throw error;
  }
}

class Malformed extends Error {
  override readonly name = "Malformed";
}

const wireTypes = { varint: 0, fixed64: 1, delimited: 2, fixed32: 5 };

function isPlain(schema: DescMessage, bytes: Uint8Array): boolean {
  const reader = new Reader(bytes);
  const seen = new Set<string>();
  let plain = true;
  while (!reader.ended) {
    const tag = reader.varint();
    plain &&= tag < 2n ** 32n;
    const number = Number(BigInt.asUintN(32, tag)) >>> 3;
    const type = Number(tag & 7n);
    if (number === 0) {
      throw new Malformed("field number 0");
    }
    const value = reader.value(type);
    const field = schema.fields.find((one) => one.number === number);
    if (field === undefined) {
      continue;
    }
    if (type !== wireTypeOf(field)) {
      plain = false;
      continue;
    }
    if (typeof value === "bigint") {
      const is64 = field.scalar === ScalarType.UINT64 || field.scalar === ScalarType.INT64;
      plain &&= value < (is64 ? 2n ** 53n : 2n ** 32n);
    } else if (field.message !== undefined) {
      const once = field.oneof?.toString() ?? (field.fieldKind === "list" ? undefined : field.toString());
      plain &&= once === undefined || !seen.has(once);
      seen.add(once ?? "");
      plain = isPlain(field.message, value) && plain;
    } else if (field.scalar === ScalarType.STRING) {
      checkText(value);
    }
  }
  return plain;
}

function wireTypeOf({ message, scalar }: DescField): number {
  if (message !== undefined || scalar === ScalarType.STRING || scalar === ScalarType.BYTES) {
    return wireTypes.delimited;
  }
  return scalar === ScalarType.FIXED32 ? wireTypes.fixed32 : wireTypes.varint;
}

function checkText(bytes: Uint8Array): void {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Malformed("no UTF-8");
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get ended(): boolean {
    return this.#at === this.#bytes.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let count = 0; count < 10; count++) {
      const [byte = 0] = this.#take(1);
      value |= BigInt(byte & 0x7f) << BigInt(7 * count);
      if (byte < 0x80) {
        return value;
      }
    }
    throw new Malformed("a varint of more than ten bytes");
  }

  value(type: number): bigint | Uint8Array {
    switch (type) {
      case wireTypes.varint:
        return this.varint();
      case wireTypes.fixed64:
        return this.#take(8);
      case wireTypes.delimited:
        return this.#take(Number(BigInt.asUintN(32, this.varint())));
      case wireTypes.fixed32:
        return this.#take(4);
      default:
        throw new Malformed("a group, or no wire type");
    }
  }

  #take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#at) {
      throw new Malformed("beyond the end");
    }
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}
