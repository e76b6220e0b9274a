import type { BackoffOptions, Clock } from "@metasrv/wire";
import type { Cancellation } from "./cancellation.js";
import type { EndpointRing } from "./endpoint-ring.js";
import type { Member } from "./member.js";
import { MemberCheck } from "./member-check.js";

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
  /** Asks the server at a URL for its members. */
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
      if (url !== undefined) {
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
