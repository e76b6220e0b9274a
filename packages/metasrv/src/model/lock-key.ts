import { fromBinary } from "@bufbuild/protobuf";
import { LockKeySchema } from "@metasrv/proto/metasrv/store/v1";
import { FieldWriter, ticketIdLength } from "@metasrv/wire";
import { LockError } from "./lock-errors.js";
import { lockNameOf, ticketIdFrom, type TicketRef } from "./ticket-ref.js";

/** What a key says. Whoever has it was given the 128 random bits of the ticket's id, and so owns the ticket. */
export interface LockKey extends TicketRef {
  /** Fencing token of the grant. Because of it, the key does not open a later ticket, even one with the same id. */
  readonly token: bigint;
}

const writer = new FieldWriter();

/** Room that a key needs besides the name. */
const overheadBytes = 64;

/** The opaque bytes of a key, a `metasrv.store.v1.LockKey`; the same key gives the same bytes. */
export function encodeLockKey({ name, id, token }: LockKey): Uint8Array {
  // Written field by field, because every grant needs one.
  writer.latin1(1, name);
  writer.latin1(2, id);
  writer.bigint(3, token);
  return writer.take();
}

/**
 * Reads a key.
 *
 * @throws LockError `invalid-key` for anything that {@link encodeLockKey} cannot have made
 */
export function decodeLockKey(bytes: Uint8Array, maxNameBytes: number): LockKey {
  if (bytes.byteLength === 0) {
    throw invalidKey("it is empty");
  }
  if (bytes.byteLength > maxNameBytes + overheadBytes) {
    throw invalidKey(`it has ${bytes.byteLength} bytes`);
  }
  let message;
  try {
    message = fromBinary(LockKeySchema, bytes);
  } catch (cause) {
    throw invalidKey("its bytes cannot be read", cause);
  }
  if (
    message.name.byteLength === 0 ||
    message.name.byteLength > maxNameBytes ||
    message.ticketId.byteLength !== ticketIdLength ||
    message.token === 0n ||
    message.token >= 1n << 63n
  ) {
    throw invalidKey("its bytes do not name a grant");
  }
  const key = { name: lockNameOf(message.name), id: ticketIdFrom(message.ticketId), token: message.token };
  if (Buffer.compare(encodeLockKey(key), bytes) !== 0) {
    throw invalidKey("its bytes are not as they were given");
  }
  return key;
}

function invalidKey(what: string, cause?: unknown): LockError {
  return new LockError(
    "invalid-key",
    `the key is not one that a lock request was answered with: ${what}; give back the bytes of the answer unchanged`,
    { cause },
  );
}
