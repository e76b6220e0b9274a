import { useEffect, useRef, useState } from "preact/hooks";
import { shownDuration } from "./durations.js";
import { ForceDialog } from "./force-dialog.js";
import type { TicketMessage } from "./inspect-messages.js";
import type { LivePage } from "./live-page.js";
import { kindOf } from "./lock-board.js";
import { readName, shownText } from "./lock-name.js";
import type { LockQueue } from "./lock-queue.js";

/** One lock with its queue, beside the others. */
export function LockDrawer({ page, queue }: { readonly page: LivePage; readonly queue: LockQueue }) {
  const { name, tickets, size, toldAtMs } = queue;
  const [forced, setForced] = useState<TicketMessage | undefined>(undefined);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  const close = () => {
    page.select(undefined);
    document.getElementById("locks")?.focus();
  };
  const sinceToldMs = toldAtMs === undefined ? 0 : performance.now() - toldAtMs;
  const isStale = page.isStale || queue.problem !== undefined;
  return (
    <aside
      class={isStale ? "drawer stale" : "drawer"}
      aria-label="One lock"
      onKeyDown={(event) => {
        if (event.key === "Escape" && forced === undefined) {
          close();
        }
      }}
    >
      <div class="drawer-head">
        <h2 ref={heading} tabIndex={-1}>
          {name.shown}
        </h2>
        <button type="button" onClick={close} aria-label="Close">
          ✕
        </button>
      </div>
      {queue.problem && <p class="notice bad">Its stream is broken: {shownText(queue.problem.message)}</p>}
      {toldAtMs !== undefined && tickets.length === 0 && <p>Nobody holds it or waits for it.</p>}
      <ol class="tickets">
        {tickets.map((ticket) => (
          <li key={ticket.token} class={ticket.holds === true ? "holds" : "waits"}>
            <Ticket page={page} ticket={ticket} sinceToldMs={sinceToldMs} />
            <button
              type="button"
              disabled={isStale}
              onClick={() => {
                setForced(ticket);
              }}
            >
              Release by force…
            </button>
          </li>
        ))}
      </ol>
      {size > tickets.length && <p>{size - tickets.length} more wait behind these.</p>}
      <ForcedReleases queue={queue} />
      {forced && (
        <ForceDialog
          key={forced.token}
          queue={queue}
          ticket={forced}
          isStale={isStale}
          closed={() => {
            setForced(undefined);
            heading.current?.focus();
          }}
        />
      )}
    </aside>
  );
}

function Ticket({ page, ticket, sinceToldMs }: { page: LivePage; ticket: TicketMessage; sinceToldMs: number }) {
  const { token = "0", owner = "", holds = false, reserves = false, position = 0, memberId = "" } = ticket;
  const { ageMs = "0", heldMs = "0", labels = {}, parts = [], permits = 0, limit = 0 } = ticket;
  const forMs = Number(holds ? heldMs : ageMs) + sinceToldMs;
  const address = page.members.find(({ id }) => id === memberId)?.address ?? memberId;
  const share = kindOf(ticket.mode) === "semaphore" ? `, ${permits} of ${limit} permits` : "";
  const atLeast = ticket.timesAreMinimum === true ? "at least " : "";
  const state = holds
    ? "Holds it"
    : reserves
      ? "It is kept for this one, which waits for others,"
      : `Waits at place ${position}`;
  return (
    <dl>
      <dt>{owner === "" ? "(no owner given)" : shownText(owner)}</dt>
      <dd>
        {state} for {atLeast}
        {shownDuration(forMs)} ({kindOf(ticket.mode)}
        {share})
      </dd>
      <dd>
        Token {token}, server {shownText(address)}
      </dd>
      {Object.entries(labels).map(([key, value]) => (
        <dd key={key} class="label">
          {shownText(key)}: {shownText(value)}
        </dd>
      ))}
      {parts.length > 1 && <dd>Together with {parts.map((part) => readName(part).shown).join(", ")}</dd>}
    </dl>
  );
}

function ForcedReleases({ queue }: { readonly queue: LockQueue }) {
  const { forced, forcedProblem } = queue;
  return (
    <section class="forced">
      <h3>Released by force</h3>
      {forcedProblem !== undefined && <p>{shownText(forcedProblem)}</p>}
      {forced?.length === 0 && <p>Not among the latest 250 of all locks.</p>}
      <ul>
        {forced?.map(({ token = "0", owner = "", actor = "", reason = "", unixMs = "0", held = false }) => (
          <li key={token}>
            {new Date(Number(unixMs)).toLocaleString()}: {owner === "" ? "(no owner given)" : shownText(owner)}, which{" "}
            {held ? "held it" : "waited"} with token {token}, by {actor === "" ? "(not said)" : shownText(actor)}:{" "}
            {shownText(reason)}
          </li>
        ))}
      </ul>
    </section>
  );
}
