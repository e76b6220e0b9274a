import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { LockKeySchema } from "@metasrv/proto/metasrv/store/v1";

/** A key with some of its parts replaced: the best that somebody can make who knows the format but not the secret. */
export function forgedKey(key: Uint8Array, change: MessageInitShape<typeof LockKeySchema>): Uint8Array {
  const { name, ticketId, token } = fromBinary(LockKeySchema, key);
  return toBinary(LockKeySchema, create(LockKeySchema, { name, ticketId, token, ...change }));
}

/** The token in a key, for backends that do not tell it. */
export function tokenIn(key: Uint8Array): bigint {
  return fromBinary(LockKeySchema, key).token;
}
