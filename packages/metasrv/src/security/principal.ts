import { setMaxListeners } from "node:events";
import type { Identity } from "../api/access.js";
import type { Rights } from "./rights.js";
import type { Usage } from "./usage.js";

/** One who may do something here. It stays the same when the configuration is read again. */
export class Principal {
  readonly name: string;
  readonly usage: Usage;
  #rights: Rights;
  #changed = changeSignal();

  constructor(name: string, rights: Rights, usage: Usage) {
    this.name = name;
    this.usage = usage;
    this.#rights = rights;
  }

  /** What it may do now. */
  get rights(): Rights {
    return this.#rights;
  }

  /** Aborts when what it may do may have changed. Each signal is for one change. */
  get changed(): AbortSignal {
    return this.#changed.signal;
  }

  /** From now on, it may do this. */
  change(rights: Rights): void {
    this.#rights = rights;
    const changed = this.#changed;
    this.#changed = changeSignal();
    changed.abort();
  }
}

/** A principal, and by what it is known: one of its tokens, its certificate name, or that it shows nothing. */
export class ProvenIdentity implements Identity {
  readonly owner: Principal;
  /** Whether it proves the principal still. Never becomes true again. */
  isValid = true;

  constructor(owner: Principal) {
    this.owner = owner;
  }

  get principal(): string {
    return this.owner.name;
  }
}

function changeSignal(): AbortController {
  const controller = new AbortController();
  // Every watch listens.
  setMaxListeners(0, controller.signal);
  return controller;
}
