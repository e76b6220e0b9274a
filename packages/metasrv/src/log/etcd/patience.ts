import type { Clock } from "../../locks/clock.js";

/**
 * An attempt on its way when etcd's leader dies gets no answer, while the next one is held by its member until there is a
 * new leader, and then answered. So the shorter the first, the sooner service is back.
 */
const shortestMs = 500;
const longestMs = 4_000;
/** An answer may take so many times as long as the one before. */
const slowdown = 4;

/**
 * Gives each attempt at something as much time as it is likely to need: little as long as answers come fast, twice as much
 * after each attempt that failed.
 *
 * @param attempt - rejects when it has no answer within `timeoutMs`
 */
export function withPatience<Request, Answer>(
  clock: Clock,
  attempt: (request: Request, timeoutMs: number) => Promise<Answer>,
): (request: Request) => Promise<Answer> {
  let patienceMs = shortestMs;
  return async (request) => {
    const startedAtMs = clock.now();
    const timeoutMs = patienceMs;
    try {
      const answer = await attempt(request, timeoutMs);
      const tookMs = clock.now() - startedAtMs;
      patienceMs = Math.max(shortestMs, Math.min(patienceMs, slowdown * tookMs));
      return answer;
    } catch (error) {
      patienceMs = Math.min(longestMs, 2 * timeoutMs);
      throw error;
    }
  };
}
