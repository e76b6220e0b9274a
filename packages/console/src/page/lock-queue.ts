import { type Api, ApiError } from "./api.js";
import { follow } from "./follow.js";
import type { ListForcedMessage, TicketMessage, WatchLockMessage } from "./inspect-messages.js";
import { type LockName, readName } from "./lock-name.js";

export type ForcedRelease = NonNullable<ListForcedMessage["releases"]>[number];

export interface LockQueueOptions {
  readonly api: Api;
  readonly changed: () => void;
  readonly pause: (broken: number) => Promise<void>;
}

/** So many requests are shown; a server shows no more. */
const mostTickets = 250;

/** The queue of one lock, as a stream of WatchLock tells, and what of it can be asked for. */
export class LockQueue {
  readonly name: LockName;
  tickets: readonly TicketMessage[] = [];
  /** How many hold and wait, shown or not. */
  size = 0;
  /** When the tickets were told, by `performance.now()`; undefined: they were not yet. */
  toldAtMs: number | undefined;
  /** Why there is no stream; undefined while there is one. */
  problem: ApiError | undefined;
  /** Releases of this lock by force among the latest 250 of all; undefined until they are known. */
  forced: readonly ForcedRelease[] | undefined;
  /** Why they are not known. */
  forcedProblem: string | undefined;
  readonly #options: LockQueueOptions;
  readonly #closed = new AbortController();
  #stream = new AbortController();

  constructor(name: LockName, options: LockQueueOptions) {
    this.name = name;
    this.#options = options;
    void this.#follow(this.#stream.signal);
    void this.#readForced();
  }

  /** Opens the stream anew. */
  restart(): void {
    this.#stream.abort();
    this.#stream = new AbortController();
    void this.#follow(this.#stream.signal);
  }

  /** Ends the stream. */
  close(): void {
    this.#stream.abort();
    this.#closed.abort();
  }

  /**
   * Removes a ticket by force. That it is gone is told by the stream.
   *
   * @throws ApiError
   */
  async force(token: string, { reason, actor }: { readonly reason: string; readonly actor: string }): Promise<void> {
    const request = { ...this.name.wire, token, reason, actor };
    await this.#options.api.unary("metasrv.v1.AdminService/ForceRelease", request);
    await this.#readForced();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { api, changed, pause } = this.#options;
    const request = { ...this.name.wire, maxTickets: mostTickets };
    await follow(
      (signal) => api.stream<WatchLockMessage>("metasrv.v1.InspectService/WatchLock", request, signal),
      {
        begun: () => undefined,
        message: ({ lock, tickets = [] }) => {
          this.tickets = tickets;
          this.size = (lock?.state?.holderCount ?? 0) + (lock?.state?.waiters ?? 0);
          this.toldAtMs = performance.now();
          this.problem = undefined;
          changed();
        },
        broken: (error) => {
          this.problem = error;
          changed();
        },
      },
      // Such a stream says nothing while nothing changes. Whether the server can be reached is told by the one of all locks.
      { signal, silenceMs: Infinity, pause },
    );
  }

  async #readForced(): Promise<void> {
    try {
      const { releases = [] } = await this.#options.api.unary<ListForcedMessage>(
        "metasrv.v1.AdminService/ListForced",
        { pageSize: 250 },
        this.#closed.signal,
      );
      this.forced = releases.filter(({ lock = {} }) => readName(lock).key === this.name.key);
      this.forcedProblem = undefined;
    } catch (error) {
      this.forcedProblem = error instanceof ApiError ? error.message : "they could not be read";
    }
    this.#options.changed();
  }
}
