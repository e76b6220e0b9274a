import { useEffect, useState } from "preact/hooks";
import { ApiError } from "./api.js";
import { shownDuration } from "./durations.js";
import type { ListBlockedMessage, TicketMessage } from "./inspect-messages.js";
import type { LivePage } from "./live-page.js";
import { readName, shownText } from "./lock-name.js";

/** How long after an answer the next one is asked for, in milliseconds. */
const pauseMs = 2_000;

/** Who waits for whom, and who waits in a circle. */
export function BlockedTab({ page }: { readonly page: LivePage }) {
  const [blocked, setBlocked] = useState<ListBlockedMessage | undefined>(undefined);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    const closed = new AbortController();
    askRegularly(page, closed.signal, {
      answered: (answer) => {
        setBlocked(answer);
        setProblem("");
      },
      failed: setProblem,
    }).catch(() => undefined);
    return () => {
      closed.abort();
    };
  }, []);

  const { locks = [], deadlocks = [], nextPageToken = "" } = blocked ?? {};
  return (
    <div class="blocked">
      {problem !== "" && <p class="notice bad">{shownText(problem)}</p>}
      <h2>Circles</h2>
      {blocked !== undefined && deadlocks.length === 0 && (
        <p>Nobody waits in a circle, as far as requesters say what they hold.</p>
      )}
      {deadlocks.map(({ requests = [] }) => (
        <ol class="circle" key={requests[0]?.ticket?.token}>
          {requests.map(({ lock = {}, ticket = {} }, at) => (
            <li key={ticket.token}>
              {shownOwner(ticket)} waits for <LockLink page={page} lock={lock} />, which{" "}
              {shownOwner(requests[(at + 1) % requests.length]?.ticket ?? {})} has
            </li>
          ))}
        </ol>
      ))}
      <h2>Waiting</h2>
      {blocked !== undefined && locks.length === 0 && <p>Nobody waits.</p>}
      <ul>
        {locks.map(({ lock = {}, waiter = {}, blockers = [] }) => (
          <li key={readName(lock).key}>
            <LockLink page={page} lock={lock} />: {shownOwner(waiter)} has waited for{" "}
            {shownDuration(Number(waiter.ageMs ?? "0"))}, held by {blockers.map(shownOwner).join(", ")}
            {(lock.state?.waiters ?? 0) > 1 && `; ${(lock.state?.waiters ?? 0) - 1} more wait`}
          </li>
        ))}
      </ul>
      {nextPageToken !== "" && <p>There are more. Say what their names begin with.</p>}
    </div>
  );
}

interface Asking {
  readonly answered: (answer: ListBlockedMessage) => void;
  readonly failed: (problem: string) => void;
}

async function askRegularly(page: LivePage, signal: AbortSignal, { answered, failed }: Asking): Promise<void> {
  do {
    try {
      const request = { prefix: page.prefix, pageSize: 250 };
      answered(await page.api.unary("metasrv.v1.InspectService/ListBlocked", request, signal));
    } catch (error) {
      // Once the tab was closed, nobody wants to know.
      signal.throwIfAborted();
      failed(error instanceof ApiError ? error.message : String(error));
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  } while (!signal.aborted);
}

function LockLink({ page, lock }: { readonly page: LivePage; readonly lock: Parameters<typeof readName>[0] }) {
  const name = readName(lock);
  return (
    <button
      type="button"
      class="link"
      onClick={() => {
        page.select(name);
      }}
    >
      {name.shown}
    </button>
  );
}

function shownOwner({ owner = "", token = "0" }: TicketMessage): string {
  return owner === "" ? `token ${token}` : shownText(owner);
}
