import type { LockResponse, LockState } from "@metasrv/proto/metasrv/v1";
import type { Answer } from "./lock-channel.js";
import { UnexpectedError } from "./meta-errors.js";

/** A grant as the client counts it. */
export interface Granted {
  readonly key: Uint8Array;
  readonly token: bigint;
  readonly ttlMs: number;
  /**
   * The earliest moment, on the client's clock, at which the grant can have begun: the server had the request for
   * `waited_ms`, and cannot have had it before it was sent.
   */
  readonly grantedAtMs: number;
}

/** A server's answer to a request for a lock. */
export type LockOutcome =
  | { readonly kind: "granted"; readonly grant: Granted }
  | { readonly kind: "refused"; readonly state: LockState | undefined };

/** Reads the answer to a request for a lock. */
export function readOutcome(answer: Answer<LockResponse>): LockOutcome {
  const { outcome } = answer.message;
  switch (outcome.case) {
    case "granted": {
      const { key, token, ttlMs, waitedMs } = outcome.value;
      const grantedAtMs = answer.sentAtMs + waitedMs;
      return { kind: "granted", grant: { key, token, ttlMs: Number(ttlMs), grantedAtMs } };
    }
    case "refused":
      return { kind: "refused", state: outcome.value.state };
    case undefined:
      throw new UnexpectedError(
        "The server neither granted nor refused the lock. Check that it is not newer than this client.",
      );
  }
}
