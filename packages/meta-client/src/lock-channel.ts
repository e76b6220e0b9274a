import type { Client } from "@connectrpc/connect";
import type { AdminService, InspectService, LockRequest } from "@metasrv/proto/metasrv/v1";
import type { Cancellation } from "./cancellation.js";
import type { ClientEvents } from "./client-events.js";
import type { Holding, LockOutcome, Renewed } from "./grant.js";
import type { Member } from "./member.js";

/** The calls of operators. */
export type Inspections = Client<typeof InspectService> & Client<typeof AdminService>;

/** What a call goes out with. */
export interface CallSetup {
  readonly signal: AbortSignal;
  readonly headers: Record<string, string>;
}

/** Makes one of them. */
export type Inspecting<T> = (inspections: Inspections, options: CallSetup) => T;

/** Told how it goes with an endpoint. */
export interface ChannelListener {
  /** A session has begun. */
  onConnected(event: ClientEvents["connected"]): void;
  /** A session that had begun is over. */
  onDisconnected(reason: string): void;
  /** The server says that it is about to stop. */
  onDraining(): void;
}

/** Listens to nothing. */
export const silent: ChannelListener = {
  onConnected: () => undefined,
  onDisconnected: () => undefined,
  onDraining: () => undefined,
};

/**
 * The way to one endpoint: the seam between what calls mean and how they travel. It asks each request once. The layers
 * above it repeat requests, choose endpoints, and know about waits and expiry.
 *
 * Every method rejects with the reason once its scope is cancelled; the server is then told that the request is not
 * wanted any more. It rejects with an `EndpointFailure` when another endpoint may serve the request, and with a
 * `MetaError` when the server's answer is an error.
 */
export interface LockChannel {
  /** The endpoint's URL, as configured. */
  readonly endpoint: string;
  /**
   * Waits as long as the request says and the server lives. If a grant comes after the request was withdrawn, the lock
   * is given back, or ends with its TTL.
   */
  lock(request: LockRequest, scope: Cancellation): Promise<LockOutcome>;
  unlock(holding: Holding, scope: Cancellation): Promise<void>;
  /** @param ttlMs - a new TTL in milliseconds */
  renew(holding: Holding, ttlMs: number, scope: Cancellation): Promise<Renewed>;
  /** Looks at locks, or does what operators do. */
  inspect<T>(ask: Inspecting<Promise<T>>, scope: Cancellation): Promise<T>;
  /** Follows a stream of what a server tells of locks, until it rejects. Keeps the process alive. */
  follow<T>(open: Inspecting<AsyncIterable<T>>, scope: Cancellation): AsyncGenerator<T, void, undefined>;
  /** Asks which servers there are. */
  members(scope: Cancellation): Promise<readonly Member[]>;
  /**
   * Tells which servers there are, and again whenever that has changed, until it rejects. Does not keep the process
   * alive.
   */
  watchMembers(scope: Cancellation, onMembers: (members: readonly Member[]) => void): Promise<never>;
  /**
   * Tells the channel that other endpoints are used from now on.
   *
   * - `"now"`, because the server is about to stop: waits reject with an `EndpointFailure` at once, and locks become
   *   `unwatched`
   * - `"at leisure"`: waits and locks stay as long as they last
   *
   * Requests that still come are answered. Resolves when nothing is left here; never rejects.
   */
  leave(when: "now" | "at leisure"): Promise<void>;
  /**
   * Ends the connection. What is under way rejects with an `EndpointFailure`. Never rejects itself.
   *
   * @param withinMs - how long telling the server may take
   */
  close(withinMs: number): Promise<void>;
}

/**
 * An endpoint could not serve a call, but another one may. Internal: calls are repeated until they succeed or end in an
 * `UnavailableError` that names every endpoint's failure.
 */
export class EndpointFailure extends Error {
  override readonly name = "EndpointFailure";
  readonly endpoint: string;
  /** Whether the request may have reached the server, and so may have taken effect. */
  readonly maybeApplied: boolean;
  /** When the server that had the request last gave a sign of life, in milliseconds; undefined if that is not known. */
  readonly heardAtMs: number | undefined;

  constructor(
    endpoint: string,
    why: string,
    maybeApplied: boolean,
    options: ErrorOptions & { readonly heardAtMs?: number | undefined } = {},
  ) {
    super(why, options);
    this.heardAtMs = options.heardAtMs;
    this.endpoint = endpoint;
    this.maybeApplied = maybeApplied;
  }
}
