import { LockError } from "../model/lock-errors.js";
import { type LockName, showLockName } from "../model/ticket-ref.js";
import type { Right } from "./auth-config.js";

/** Longer names are cut where they are shown. */
const mostShown = 256;

/** A name for people, not longer than they can read. */
export function shortName(name: LockName): string {
  return name.length <= mostShown ? showLockName(name) : `${showLockName(name.slice(0, mostShown) as LockName)}…`;
}

/** A principal has no right to what it asked for. */
export function denied(principal: string, right: Right, name: LockName): LockError {
  return new LockError(
    "permission-denied",
    `the principal "${principal}" does not have the right "${right}" for ${JSON.stringify(shortName(name))}; ask for a name ` +
      "for which it has, or have a rule added that allows this",
  );
}

/** The same of a lock that is held together with others, which the principal may not see. */
export function deniedTogether(principal: string, right: Right, name: LockName): LockError {
  return new LockError(
    "permission-denied",
    `${JSON.stringify(shortName(name))} was asked for together with other locks, for which the principal "${principal}" does not ` +
      `have the right "${right}"; ask somebody who has it for all of them`,
  );
}

/** Nobody knows who asks. */
export function unauthenticated(why: string): LockError {
  return new LockError(
    "unauthenticated",
    `${why}; send the header "authorization: Bearer" with a token of a principal, or a client certificate of one`,
  );
}

/** What proved the principal of a session proves it no more. */
export function noLongerKnown(principal: string): LockError {
  return unauthenticated(`what proved the principal "${principal}" does not prove it any more`);
}
