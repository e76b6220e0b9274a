import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";

/** What protobuf's JSON takes for a number in a text: decimal, with a fraction and an exponent. */
const decimal = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const plain = /^-?\d+$/;

/** Beyond it, no 64-bit number fits. */
const mostDigits = 20;

/**
 * Reads the 64-bit numbers in a JSON message as protobuf does: `"6e4"` and `"60000.0"` are 60000, and `"0x10"` is no number.
 * protobuf-es takes what `BigInt` takes.
 *
 * @param text - a message that may be malformed: that is left to protobuf-es
 * @returns the message with such numbers written out
 * @throws ConnectError `invalid_argument` for a text that is no decimal number
 */
export function withPlainIntegers(text: string, schema: DescMessage): string {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return text;
  }
  return normalize(message, schema) ? JSON.stringify(message) : text;
}

/** @returns whether something was written out */
function normalize(message: unknown, schema: DescMessage): boolean {
  if (typeof message !== "object" || message === null || Array.isArray(message)) {
    return false;
  }
  const values = message as Record<string, unknown>;
  let isChanged = false;
  for (const field of schema.fields) {
    for (const name of new Set([field.jsonName, field.name])) {
      const value = values[name];
      if (field.message !== undefined && field.fieldKind !== "map") {
        const inner = field.message;
        for (const each of Array.isArray(value) ? value : [value]) {
          isChanged = normalize(each, inner) || isChanged;
        }
      } else if (is64Bit(field) && typeof value === "string" && !plain.test(value)) {
        values[name] = written(value, name);
        isChanged = true;
      }
    }
  }
  return isChanged;
}

function is64Bit(field: DescField): boolean {
  return field.fieldKind === "scalar" && (field.scalar === ScalarType.INT64 || field.scalar === ScalarType.UINT64);
}

/** A decimal number without fraction and exponent. One that has a fraction stays as it is, and is refused later. */
function written(text: string, name: string): string {
  if (!decimal.test(text)) {
    throw new ConnectError(
      `${name} is ${JSON.stringify(text.slice(0, 40))}; give a whole decimal number`,
      Code.InvalidArgument,
    );
  }
  const [mantissa = "", exponent = "0"] = text.toLowerCase().split("e");
  const [whole = "", fraction = ""] = mantissa.split(".");
  const shift = Number(exponent);
  const digits = whole + fraction;
  const point = whole.length + shift;
  if (point > mostDigits + 1) {
    throw new ConnectError(`${name} is ${text.slice(0, 40)}, which is too large`, Code.InvalidArgument);
  }
  const rest = point < 0 ? digits : digits.slice(Math.max(0, point));
  if (/[1-9]/.test(rest)) {
    throw new ConnectError(`${name} is ${text.slice(0, 40)}; give a whole number`, Code.InvalidArgument);
  }
  const integer = digits.slice(0, Math.max(0, point)).padEnd(Math.max(0, point), "0");
  return /\d/.test(integer) ? integer : "0";
}
