import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { FieldReader, MalformedMessageError } from "./field-reader.js";

let fallBackCount = 0;

/**
 * How often protobuf-es had to read a message since the process began. Tests use it to see that the readers are
 * complete.
 */
export function fallBacks(): number {
  return fallBackCount;
}

/**
 * Reads a message with `read`. If `read` takes the bytes for malformed, protobuf-es decides, because it accepts more:
 * fields that come twice, or in another wire type.
 *
 * @throws MalformedMessageError for bytes that are no such message
 */
export function decode<Desc extends DescMessage>(
  schema: Desc,
  bytes: Buffer,
  read: (reader: FieldReader) => MessageShape<Desc>,
): MessageShape<Desc> {
  try {
    return read(new FieldReader(bytes));
  } catch (error) {
    if (error instanceof MalformedMessageError) {
      return fallBack(schema, bytes);
    }
    throw error;
  }
}

function fallBack<Desc extends DescMessage>(schema: Desc, bytes: Buffer): MessageShape<Desc> {
  fallBackCount++;
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw new MalformedMessageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}
