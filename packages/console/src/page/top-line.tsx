import type { LivePage } from "./live-page.js";
import { shownText } from "./lock-name.js";

/** The figures of the whole cluster, or, with a prefix, of the locks that are shown. */
export function TopLine({ page }: { readonly page: LivePage }) {
  const { members, readiness, board } = page;
  const leader = members.find(({ role }) => role === "MEMBER_ROLE_LEADER");
  const { granted, expired } = page.history.latest;
  return (
    <dl class="figures">
      <Figure label="Members" value={members.length === 0 ? "?" : String(members.length)} />
      <Figure label="Leader" value={shownText(leader?.address ?? "?")} />
      <Figure
        label="This server"
        value={readiness === undefined ? "?" : readiness.ready ? "ready" : "not ready"}
        isBad={readiness?.ready === false}
      />
      <Figure label="Locks" value={`${count(board.locks)}${board.isComplete && !board.hasMore ? "" : "…"}`} />
      <Figure label="Waiting" value={count(board.waiters)} />
      <Figure label="Grants/s" value={rate(granted)} />
      <Figure label="Expiries/s" value={rate(expired)} />
    </dl>
  );
}

function Figure({ label, value, isBad = false }: { label: string; value: string; isBad?: boolean }) {
  return (
    <div class={isBad ? "figure bad" : "figure"}>
      <dt>{label}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function count(number: number): string {
  return number.toLocaleString("en");
}

function rate(perSecond: number): string {
  return perSecond < 10 ? perSecond.toFixed(1) : count(Math.round(perSecond));
}
