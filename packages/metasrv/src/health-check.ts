/** Where a server answers as long as its process serves, when nothing else is said. */
export const defaultHealthUrl = "http://127.0.0.1:3002/healthz";

/** How long a server may take to answer, in milliseconds. */
const answersWithinMs = 5_000;

/**
 * Asks a server how it is, for supervisors that judge by the exit code of a command.
 *
 * @param url - `/healthz` or `/readyz` of the server
 * @returns what it answered, without the line break at its end
 * @throws Error that says what it answered instead, or why it did not, and what to look at
 */
export async function checkHealth(url: string): Promise<string> {
  let response: Response;
  let answer: string;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(answersWithinMs), redirect: "error" });
    answer = (await response.text()).trimEnd();
  } catch (error) {
    throw new Error(`${url} did not answer: ${reasonOf(error)}; is this the address that the server listens on?`, {
      cause: error,
    });
  }
  if (!response.ok) {
    throw new Error(`${url} answered ${response.status}: ${answer}`);
  }
  return answer;
}

/** `fetch` itself says no more than that it failed. */
function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  return cause instanceof Error ? cause.message : String(error);
}
