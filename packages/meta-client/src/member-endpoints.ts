import { Backoff, type BackoffOptions, type Clock, type Timer } from "@metasrv/wire";
import { CallScope, type Cancellation } from "./cancellation.js";
import type { EndpointRing } from "./endpoint-ring.js";
import type { Member } from "./member.js";
import { ClosedError, UnavailableError } from "./meta-errors.js";

export interface MemberEndpointsOptions {
  readonly clock: Clock;
  readonly random: () => number;
  readonly ring: EndpointRing;
  /** URLs of the endpoints that the user gave. */
  readonly given: readonly string[];
  /**
   * Whether to go to a random member once the members are known, and sometimes to a member that joins, so that each
   * gets its share.
   */
  readonly spread: boolean;
  /** Whether the client may say to a server at that URL who it is. */
  readonly mayGoTo: (url: URL) => boolean;
  /**
   * Asks the server at a URL for its members, without saying who the client is: until it is known to be of the cluster, it
   * must not get a token.
   */
  readonly ask: (endpoint: string, scope: Cancellation) => Promise<readonly Member[]>;
  readonly attemptTimeoutMs: number;
  /** Pauses between attempts to reach a member. */
  readonly backoff: BackoffOptions;
  /** The longest time until a new member is reached, so that not all clients come at once. */
  readonly joinSpreadMs: number;
}

/** Turns members into endpoints, if their addresses lead to them from here. */
export class MemberEndpoints {
  readonly #options: MemberEndpointsOptions;
  /** The given endpoints by host and port, as members tell theirs. */
  readonly #givenByHost: ReadonlyMap<string, string>;
  readonly #checks = new Map<string, MemberCheck>();
  /** URLs of the members that can be used. */
  readonly #good = new Set<string>();
  /** The members' ids by URL, as a server last told them. */
  #ids: ReadonlyMap<string, string> = new Map();
  #told = false;

  constructor(options: MemberEndpointsOptions) {
    this.#options = options;
    this.#givenByHost = new Map(options.given.map((endpoint) => [new URL(endpoint).host, endpoint]));
  }

  /** @param toldBy - URL of the endpoint that tells of the members; its scheme is used for them, too */
  update(members: readonly Member[], toldBy: string): void {
    const ids = new Map<string, string>();
    for (const { id, address } of members) {
      const url = memberUrl(address, toldBy);
      if (url !== undefined && this.#options.mayGoTo(url)) {
        ids.set(this.#givenByHost.get(url.host) ?? url.origin, id);
      }
    }
    // A cluster has members. A server that tells of none knows nothing.
    if (ids.size === 0) {
      return;
    }
    this.#forgetOthers(ids);
    const firstAttempts: Promise<void>[] = [];
    for (const [endpoint, id] of ids) {
      const goes = this.#told && this.#ids.get(endpoint) !== id && this.#drawsNew(ids.size);
      if (this.#options.given.includes(endpoint)) {
        this.#good.add(endpoint);
      }
      if (this.#checks.has(endpoint) || (this.#good.has(endpoint) && !goes)) {
        continue;
      }
      firstAttempts.push(this.#check(endpoint, id, goes));
    }
    this.#ids = ids;
    this.#apply();
    if (!this.#told && this.#options.spread && firstAttempts.length > 0) {
      void Promise.all(firstAttempts).then(() => {
        this.#options.ring.spread();
      });
    }
    this.#told = true;
  }

  /** Ends all checks. */
  stop(): void {
    for (const check of this.#checks.values()) {
      check.stop();
    }
    this.#checks.clear();
  }

  #forgetOthers(ids: ReadonlyMap<string, string>): void {
    for (const [endpoint, check] of this.#checks) {
      if (ids.has(endpoint)) {
        continue;
      }
      check.stop();
      this.#checks.delete(endpoint);
    }
    for (const endpoint of this.#good) {
      if (!ids.has(endpoint)) {
        this.#good.delete(endpoint);
      }
    }
  }

  /**
   * Whether this client goes to a server that has just joined. The chance is such that each member gets an equal share.
   */
  #drawsNew(members: number): boolean {
    const { spread, random } = this.#options;
    return spread && random() >= 1 - 1 / members;
  }

  /** @param goes - whether to go to the endpoint when it was found to be good */
  #check(endpoint: string, id: string, goes: boolean): Promise<void> {
    const { clock, random, ring, ask, attemptTimeoutMs, backoff, joinSpreadMs } = this.#options;
    const check = new MemberCheck({
      id,
      clock,
      ask: (scope) => ask(endpoint, scope),
      attemptTimeoutMs,
      delayMs: this.#told ? random() * joinSpreadMs : 0,
      backoff,
      onVerified: () => {
        this.#checks.delete(endpoint);
        this.#good.add(endpoint);
        this.#apply();
        if (goes) {
          ring.use(endpoint);
        }
      },
    });
    this.#checks.set(endpoint, check);
    return check.start();
  }

  #apply(): void {
    this.#options.ring.setMembers(this.#good);
  }
}

/** The URL of a member; undefined if its address means "here" on any machine, or is not an address. */
function memberUrl(address: string, toldBy: string): URL | undefined {
  const text = `${new URL(toldBy).protocol}//${address}`;
  if (!URL.canParse(text)) {
    return undefined;
  }
  const url = new URL(text);
  return ["0.0.0.0", "[::]"].includes(url.hostname) || url.host === "" || url.pathname !== "/" ? undefined : url;
}

interface MemberCheckOptions {
  /** Id of the member whose address is checked. */
  readonly id: string;
  readonly clock: Clock;
  /** Asks the server at the address for its members. */
  readonly ask: (scope: Cancellation) => Promise<readonly Member[]>;
  readonly attemptTimeoutMs: number;
  /** How long to wait before the first question. */
  readonly delayMs: number;
  /** Pauses between attempts. */
  readonly backoff: BackoffOptions;
  /** Called when the address was found to be good. */
  readonly onVerified: () => void;
}

/**
 * Finds out whether the address that a member tells of itself leads from here to its cluster. An address in a private
 * network, or 127.0.0.1, may lead nowhere, or to a server of another cluster, which has other locks.
 */
class MemberCheck {
  readonly #options: MemberCheckOptions;
  readonly #backoff: Backoff;
  readonly #scope = new CallScope();
  #timer: Timer | undefined;

  constructor(options: MemberCheckOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.backoff);
  }

  /** Checks until the address is good or the check is stopped. Resolves after the first attempt, and never rejects. */
  start(): Promise<void> {
    return new Promise((resolve) => {
      this.#timer = this.#options.clock.after(this.#options.delayMs, () => {
        void this.#attempt().then(resolve);
      });
    });
  }

  /** Ends the check; nothing is called after that. */
  stop(): void {
    this.#timer?.cancel();
    this.#scope.cancel(new ClosedError());
  }

  async #attempt(): Promise<void> {
    const good = await this.#ask();
    if (this.#scope.cancelled) {
      return;
    }
    if (good) {
      this.#options.onVerified();
      return;
    }
    this.#timer = this.#options.clock.after(this.#backoff.nextMs(), () => void this.#attempt());
  }

  async #ask(): Promise<boolean> {
    const { id, clock, ask, attemptTimeoutMs } = this.#options;
    const scope = new CallScope().follow(this.#scope).cancelAt(clock, clock.now() + attemptTimeoutMs, () => {
      return new UnavailableError(`no answer within ${attemptTimeoutMs} ms`, []);
    });
    try {
      return (await ask(scope)).some((member) => member.id === id);
    } catch {
      return false;
    } finally {
      scope.end();
    }
  }
}
