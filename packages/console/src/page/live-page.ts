import type { Api, ApiError, Readiness } from "./api.js";
import { follow } from "./follow.js";
import type { ListMembersMessage, WatchLocksMessage } from "./inspect-messages.js";
import { LockBoard } from "./lock-board.js";
import type { LockName } from "./lock-name.js";
import { LockQueue } from "./lock-queue.js";
import { RateHistory } from "./rate-history.js";

export type Member = NonNullable<ListMembersMessage["members"]>[number];

/** After how long without a word from the stream what is shown is called stale, in milliseconds. The server speaks every second. */
const staleAfterMs = 3_000;
/** After how long the stream is given up. */
const silenceMs = 6_000;
const lookMs = 2_000;
const firstPauseMs = 250;
const longestPauseMs = 5_000;

export interface LivePageOptions {
  readonly api: Api;
  /** Called when there is something new to show. */
  readonly changed: () => void;
}

/** What the page shows, and the streams that it comes from. Times are by `performance.now()`. */
export class LivePage {
  readonly api: Api;
  board = new LockBoard();
  readonly history = new RateHistory();
  prefix = "";
  /** The lock whose queue is shown. */
  queue: LockQueue | undefined;
  members: readonly Member[] = [];
  /** Undefined until the server has told. */
  readiness: Readiness | undefined;
  /** Why there is no stream; undefined while there is one. */
  problem: ApiError | undefined;
  /** Whether the server wants a token, or another one. */
  wantsToken = false;
  readonly #changed: () => void;
  #heardAtMs: number | undefined;
  #watching = new AbortController();
  /** End the pauses before streams are opened again. */
  readonly #retries = new Set<() => void>();

  constructor({ api, changed }: LivePageOptions) {
    this.api = api;
    this.#changed = changed;
  }

  start(): void {
    this.#watch();
    this.#look();
    setInterval(() => {
      this.history.sample(performance.now(), this.board);
      this.#changed();
    }, 1_000);
    setInterval(() => {
      this.#look();
    }, lookMs);
  }

  /** How long ago the stream has said something, in milliseconds; undefined: it never has. */
  get ageMs(): number | undefined {
    return this.#heardAtMs === undefined ? undefined : performance.now() - this.#heardAtMs;
  }

  /** Whether what is shown may be of the past. */
  get isStale(): boolean {
    return this.problem !== undefined || (this.ageMs ?? Infinity) > staleAfterMs;
  }

  /** Shows the locks whose names begin with this. */
  show(prefix: string): void {
    if (prefix !== this.prefix) {
      this.prefix = prefix;
      this.board = new LockBoard();
      this.history.clear();
      this.#watch();
      this.#changed();
    }
  }

  /** Shows the queue of a lock; undefined: of none. */
  select(name: LockName | undefined): void {
    this.queue?.close();
    this.queue = name && new LockQueue(name, { api: this.api, changed: this.#changed, pause: (n) => this.#pause(n) });
    this.#changed();
  }

  /** Uses a token from now on. */
  useToken(token: string): void {
    this.api.token = token === "" ? undefined : token;
    this.wantsToken = false;
    this.#retries.forEach((retry) => {
      retry();
    });
    this.#look();
    this.#changed();
  }

  #watch(): void {
    this.#watching.abort();
    const watching = (this.#watching = new AbortController());
    const { board, prefix } = this;
    void follow(
      (signal) => {
        const request = { prefix, pulse: true };
        return this.api.stream<WatchLocksMessage>("metasrv.v1.InspectService/WatchLocks", request, signal);
      },
      {
        begun: () => {
          board.begin();
        },
        message: (message) => {
          this.#heardAtMs = performance.now();
          this.problem = undefined;
          this.wantsToken = false;
          board.apply(message, this.#heardAtMs);
          this.history.count(message);
          this.#changed();
        },
        broken: (error) => {
          this.problem = error;
          this.wantsToken = error.code === "unauthenticated";
          // Its stream may not have noticed.
          this.queue?.restart();
          this.#changed();
        },
      },
      { signal: watching.signal, silenceMs, pause: (broken) => this.#pause(broken) },
    );
  }

  #pause(broken: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#retries.delete(done);
        resolve();
      };
      const timer = setTimeout(done, Math.min(longestPauseMs, firstPauseMs * 2 ** (broken - 1)));
      this.#retries.add(done);
    });
  }

  /** Asks for what no stream tells. */
  #look(): void {
    const signal = AbortSignal.timeout(lookMs);
    // That the server cannot be reached is told by the stream.
    void (async () => {
      this.readiness = await this.api.readiness(signal);
      const answer = await this.api.unary<ListMembersMessage>("metasrv.v1.ClusterService/ListMembers", {}, signal);
      this.members = answer.members ?? [];
    })().then(this.#changed, () => undefined);
  }
}
