import { Backoff, type Clock, type Timer } from "@metasrv/wire";
import { isProgramFault } from "../../model/fatal-error.js";
import { asError, storeUnreachable } from "./etcd-errors.js";
import { EtcdRefusal } from "./rpc/etcd-refusal.js";

/**
 * What etcd's members send to a leader that has died is lost, for as long as they take it for the leader: an election
 * timeout, one to two seconds. So attempts must be short for that long, for one of them to begin soon after the election.
 */
const shortestMs = 250;
const electionMs = 2_000;
const longestMs = 4_000;
/** An answer may take so many times as long as the one before. */
const slowdown = 4;
/** The part of its time that each attempt leaves to the next, however fast the answer. */
const kept = 0.9;

/**
 * Gives each attempt at something as much time as it is likely to need: some times what the last answers took, and ever
 * more once there was none for as long as an election takes.
 *
 * @param attempt - rejects when it has no answer within `timeoutMs`
 */
export function withPatience<Request, Answer>(
  clock: Clock,
  attempt: (request: Request, timeoutMs: number) => Promise<Answer>,
): (request: Request) => Promise<Answer> {
  let patienceMs = longestMs;
  /** When the first attempt began that had no answer in time, since there was an answer. */
  let silentSinceMs: number | undefined;
  return async (request) => {
    const startedAtMs = clock.now();
    const timeoutMs = patienceMs;
    try {
      const answer = await attempt(request, timeoutMs);
      const tookMs = clock.now() - startedAtMs;
      silentSinceMs = undefined;
      patienceMs = Math.min(longestMs, Math.max(shortestMs, slowdown * tookMs, kept * patienceMs));
      return answer;
    } catch (error) {
      // What fails before its time, as at a member that is down, says nothing of how long answers take.
      if (clock.now() - startedAtMs >= timeoutMs) {
        silentSinceMs ??= startedAtMs;
        if (clock.now() - silentSinceMs >= electionMs) {
          patienceMs = Math.min(longestMs, 2 * timeoutMs);
        }
      }
      throw error;
    }
  };
}

/** Pauses between attempts, growing from about 50 ms to 400 ms: an etcd that elects a leader is back within seconds. */
export class Pauses {
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #waiting = new Map<() => void, Timer>();
  #closed = false;

  constructor(clock: Clock, random: () => number) {
    this.#clock = clock;
    this.#backoff = new Backoff({ initialMs: 100, maxMs: 400, random });
  }

  /** The next pause is a short one again. */
  reset(): void {
    this.#backoff.reset();
  }

  /**
   * Resolves after the next pause, or at once when closed.
   *
   * @param sinceMs - when the attempt began that failed: what has passed since then counts; absent: nothing does
   */
  async wait(sinceMs = this.#clock.now()): Promise<void> {
    const passedMs = this.#clock.now() - sinceMs;
    if (this.#closed || passedMs >= this.#backoff.boundMs) {
      return;
    }
    const leftMs = this.#backoff.nextMs() - passedMs;
    if (leftMs <= 0) {
      return;
    }
    await new Promise<void>((resolve) => {
      const wake = () => {
        this.#waiting.delete(wake);
        resolve();
      };
      this.#waiting.set(wake, this.#clock.after(leftMs, wake));
    });
  }

  /** Ends all pauses, and every later one. */
  close(): void {
    this.#closed = true;
    for (const [wake, timer] of [...this.#waiting]) {
      timer.cancel();
      wake();
    }
  }
}

/** What {@link untilReached} works with. */
export interface UntilReachedOptions {
  readonly clock: Clock;
  readonly pauses: Pauses;
  readonly hosts: readonly string[];
  /** How long it is tried, in milliseconds. */
  readonly connectTimeoutMs: number;
  /** Whether there is no use in it any more. */
  readonly ended: () => boolean;
}

/** An attempt that had less time than this says nothing of etcd when it fails, in milliseconds. */
const tellingMs = 500;

/**
 * Does something at the start that needs etcd, again and again until it succeeds. It is not tried again when etcd has refused
 * it as often in a row as there are members: that does not end by itself.
 *
 * @param attempt - given how much time is left, in milliseconds
 * @param failed - told why an attempt failed that another is to follow
 * @throws FatalError as the attempt; LockError `store-unavailable` when the time is over, with the reason of the last attempt
 *   that had a fair chance, or when etcd refuses it
 */
export async function untilReached<T>(
  { clock, pauses, hosts, connectTimeoutMs, ended }: UntilReachedOptions,
  attempt: (leftMs: number) => Promise<T>,
  failed: (reason: string) => void,
): Promise<T> {
  const deadlineMs = clock.now() + connectTimeoutMs;
  let reason: unknown;
  let refusals = 0;
  for (;;) {
    const leftMs = Math.max(1, deadlineMs - clock.now());
    try {
      return await attempt(leftMs);
    } catch (error) {
      if (isProgramFault(error)) {
        throw error;
      }
      refusals = error instanceof EtcdRefusal ? refusals + 1 : 0;
      if (refusals === hosts.length) {
        throw storeUnreachable(hosts, connectTimeoutMs, error);
      }
      if (reason === undefined || leftMs >= tellingMs) {
        reason = error;
      }
      if (ended() || clock.now() >= deadlineMs) {
        throw storeUnreachable(hosts, connectTimeoutMs, reason);
      }
      failed(asError(error).message);
      await pauses.wait();
    }
  }
}
