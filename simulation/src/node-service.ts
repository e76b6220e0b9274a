import { LockError } from "../../packages/metasrv/src/model/lock-errors.js";
import type { Share } from "../../packages/metasrv/src/model/ticket-content.js";
import type { LockName } from "../../packages/metasrv/src/model/ticket-ref.js";
import type { ClaimPart, Grant } from "../../packages/metasrv/src/node/claim.js";
import type { NodeRun } from "./simulated-node.js";

/** What a client sends. */
export type NodeRequest =
  | {
      readonly kind: "lock";
      readonly name: Uint8Array;
      readonly ticketId: Uint8Array | undefined;
      readonly attempt: number;
      readonly ttlMs: number;
      readonly waitMs: number | undefined;
      readonly owner: string;
      readonly share: Share;
      /** More locks that it wants at once. */
      readonly others: readonly ClaimPart[];
      readonly value: Uint8Array;
    }
  | { readonly kind: "unlock"; readonly key: Uint8Array }
  | {
      readonly kind: "renew";
      readonly key: Uint8Array;
      readonly ttlMs: number;
      readonly downgrade: boolean;
      readonly value: Uint8Array | undefined;
    }
  /** Of an operator. */
  | { readonly kind: "force"; readonly name: LockName; readonly token: bigint; readonly dryRun: boolean };

/** What a node answers. */
export type NodeAnswer =
  | { readonly kind: "granted"; readonly grant: Grant }
  | { readonly kind: "refused" }
  | { readonly kind: "unlocked" }
  | { readonly kind: "renewed"; readonly ttlMs: number }
  | { readonly kind: "forced" }
  | { readonly kind: "error"; readonly error: LockError };

/** A request that a node works on. */
export interface Served {
  /** The client does not want the answer any more (`cancel`), or cannot be reached any more (`disconnect`). */
  withdraw(how: "cancel" | "disconnect"): void;
}

/** What the server's service does with a request, without the wire: it calls the node as `awaitClaim` does. */
export function serve(
  run: NodeRun,
  request: NodeRequest,
  told: (grant: Grant) => void,
  respond: (answer: NodeAnswer) => void,
): Served {
  switch (request.kind) {
    case "lock":
      return serveLock(run, request, told, respond);
    case "unlock":
      answer(run.locks.unlock(request.key), () => ({ kind: "unlocked" }), respond);
      break;
    case "renew": {
      const { key, ttlMs: wantedMs, downgrade, value } = request;
      const renewal = { ttlMs: wantedMs, downgrade, ...(value !== undefined && { value }) };
      answer(run.locks.renew(key, renewal), (ttlMs) => ({ kind: "renewed", ttlMs }), respond);
      break;
    }
    case "force": {
      const { name, token, dryRun } = request;
      const forced = run.store.force(name, token, { actor: "operator", reason: "simulated" }, dryRun);
      answer(forced, () => ({ kind: "forced" }), respond);
      break;
    }
  }
  return { withdraw: nothing };
}

function serveLock(
  run: NodeRun,
  { name, ticketId, attempt, ttlMs, waitMs, owner, share, others, value }: Extract<NodeRequest, { kind: "lock" }>,
  told: (grant: Grant) => void,
  respond: (answer: NodeAnswer) => void,
): Served {
  const { locks } = run;
  let gone = false;
  let settled = false;
  const listener = {
    granted: (grant: Grant) => {
      settled = true;
      told(grant);
      respond({ kind: "granted", grant });
      if (gone && ticketId === undefined) {
        locks.unlock(grant.key).catch(nothing);
      }
    },
    refused: () => {
      settled = true;
      respond({ kind: "refused" });
    },
    failed: (error: LockError) => {
      settled = true;
      respond({ kind: "error", error });
    },
    lost: nothing,
  };
  try {
    const claim = locks.claim(
      {
        name,
        ttlMs,
        owner,
        share,
        others,
        value,
        ...(ticketId !== undefined && { ticketId, attempt }),
        ...(waitMs !== undefined && { waitMs }),
      },
      listener,
    );
    return {
      withdraw: (how) => {
        gone = true;
        if (settled) {
          return;
        }
        if (how === "disconnect" && ticketId !== undefined) {
          claim.detach();
        } else {
          claim.cancel();
        }
      },
    };
  } catch (error) {
    respond({ kind: "error", error: lockErrorOf(error) });
    return { withdraw: nothing };
  }
}

function answer<Result>(
  result: Promise<Result>,
  describe: (result: Result) => NodeAnswer,
  respond: (answer: NodeAnswer) => void,
): void {
  result.then(
    (value) => {
      respond(describe(value));
    },
    (error: unknown) => {
      respond({ kind: "error", error: lockErrorOf(error) });
    },
  );
}

/** @throws any other error than a LockError: the code under test is wrong then */
function lockErrorOf(error: unknown): LockError {
  if (error instanceof LockError) {
    return error;
  }
  throw error;
}

function nothing(): void {
  // There is nobody to tell.
}
