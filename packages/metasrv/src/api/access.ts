import type { Origin } from "./caller.js";
import type { Locks, Operated } from "./locks.js";

/** Who somebody is: a principal, and by what it is known. It is one and the same object for all that is known by that. */
export interface Identity {
  /** Name of the principal. */
  readonly principal: string;
  /** Whether that proves the principal still. */
  readonly isValid: boolean;
}

/** What one caller may use. */
export interface Permitted {
  readonly locks: Locks;
  readonly operated: Operated;
  /** Undefined where nobody is asked who they are. */
  readonly identity: Identity | undefined;
}

/**
 * The only way from the services to the locks. So whatever carries a request, and whatever it asks for, the same rules
 * decide.
 */
export interface Access {
  /** @throws LockError `unauthenticated` */
  of(origin: Origin): Permitted;
}

/** Everybody may do everything. */
export function openAccess(locks: Locks, operated: Operated): Access {
  const permitted: Permitted = { locks, operated, identity: undefined };
  return { of: () => permitted };
}
