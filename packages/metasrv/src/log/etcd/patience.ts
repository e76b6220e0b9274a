import type { Clock } from "@metasrv/wire";

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
