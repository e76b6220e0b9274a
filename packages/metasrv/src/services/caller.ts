import { createContextKey } from "@connectrpc/connect";

/** The far end of a request, as the transport knows it. */
export interface Caller {
  /** Whether its connection broke, so that it did not give up this request but cannot be reached any more. */
  disconnected(): boolean;
}

/** Where a handler finds its {@link Caller}. Without a connection, as in one process, nothing can break. */
export const callerKey = createContextKey<Caller>({ disconnected: () => false }, { description: "caller" });
