import { LockError } from "../../model/lock-errors.js";
import { EtcdRefusal } from "./rpc/etcd-refusal.js";

/**
 * What a failed request to etcd means:
 *
 * - `full`: the NOSPACE alarm; nothing was changed
 * - `too-large`: more ops or bytes than etcd takes at once; nothing was changed
 * - `unknown`: it may have taken effect
 */
export type EtcdFailure = "full" | "too-large" | "unknown";

/** Reads an error of the etcd client. etcd tells its errors apart by text alone. */
export function classifyEtcdError(error: unknown): EtcdFailure {
  const { message } = asError(error);
  if (message.includes("database space exceeded")) {
    return "full";
  }
  if (message.includes("too many operations in txn request") || message.includes("request is too large")) {
    return "too-large";
  }
  return "unknown";
}

/** The outcome could not be learnt in time. */
export function storeUnavailable(hosts: readonly string[], cause: unknown): LockError {
  return new LockError(
    "store-unavailable",
    `etcd at ${hosts.join(", ")} ${whatItDoes(cause)}; whether the request took effect is not ` +
      "known: repeat it, and look at etcd if this lasts",
    { cause },
  );
}

/** etcd did not answer a question in time; nothing was asked to change. */
export function notAnswered(hosts: readonly string[], cause: unknown): LockError {
  return new LockError(
    "store-unavailable",
    `etcd at ${hosts.join(", ")} ${whatItDoes(cause)}, so it is not known who holds the lock now: ` +
      "repeat the request, and look at etcd if this lasts",
    { cause },
  );
}

/** What a refusal is about is for those who run the server, not for those who ask for locks. */
function whatItDoes(cause: unknown): string {
  return cause instanceof EtcdRefusal
    ? "refuses this server (its log and GET /readyz say why)"
    : `does not answer (${asError(cause).message})`;
}

/** etcd could not be reached in the time given for connecting, or cannot be used. */
export function storeUnreachable(hosts: readonly string[], timeoutMs: number, cause: unknown): LockError {
  const { message } = asError(cause);
  if (cause instanceof EtcdRefusal) {
    return new LockError("store-unavailable", `etcd at ${hosts.join(", ")} cannot be used: ${message}`, { cause });
  }
  // Of an attempt's own deadline, shorter than the time for all of them, the text would only confuse.
  const why = message.includes("DEADLINE_EXCEEDED") ? "" : ` (${message})`;
  return new LockError(
    "store-unavailable",
    `etcd at ${hosts.join(", ")} did not answer within ${timeoutMs} ms${why}; check the addresses (https:// where etcd uses TLS, http:// where not), that etcd runs and has a ` +
      "leader, and that nothing between drops packets",
    { cause },
  );
}

/** etcd has raised its NOSPACE alarm. */
export function storeFull(cause: unknown): LockError {
  return new LockError(
    "store-full",
    "etcd is out of space and refuses writes (alarm NOSPACE): compact and defragment it, raise its quota, and disarm " +
      "the alarm; nothing is granted, released or renewed until then",
    { cause },
  );
}

/** Whatever was thrown, as an error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
