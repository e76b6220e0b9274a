import { cycleTtlMs, type LockClient } from "../peers/lock-client.js";
import { requestHeaders } from "./http2-frames.js";
import { encodeLockRequest, encodeUnlockRequest, keyOfLockResponse } from "./lock-messages.js";
import { RawHttp2 } from "./raw-http2.js";

/** Unary gRPC calls of `metasrv.v1.LockService` over one connection, by the raw load generator. */
export async function openRawGrpc(address: string): Promise<LockClient> {
  const connection = await RawHttp2.connect(address);
  const lock = requestHeaders("/metasrv.v1.LockService/Lock", address);
  const unlock = requestHeaders("/metasrv.v1.LockService/Unlock", address);
  return {
    caller: () =>
      Promise.resolve({
        cycle: async (name) => {
          const key = keyOfLockResponse(await connection.call(lock, encodeLockRequest(name, cycleTtlMs)));
          await connection.call(unlock, encodeUnlockRequest(key));
        },
      }),
  };
}
