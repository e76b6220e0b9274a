import type { Verdict } from "./promises.js";
import type { Summary } from "./summary.js";
import { markdownTable } from "./table.js";
import { effectsTable, faultsTable, verdictsTable } from "./tables.js";

/** What a page about a campaign is made of. */
export interface CampaignReport {
  readonly summary: Summary;
  readonly verdicts: readonly Verdict[];
  /** The command that runs the campaign again. */
  readonly command: string;
  /** The machine, its load and the versions of what ran, for people. */
  readonly circumstances: readonly string[];
}

/** The page `docs/reliability.md`. */
export function reliabilityDocument({ summary, verdicts, command, circumstances }: CampaignReport): string {
  const { acquisitions, seconds, writes, effects, violations } = summary;
  return `<!-- Written by \`npm run faults\`; do not edit. -->

# Reliability

What happens to locks when processes are killed, machines pause and networks break: what is promised, and what was seen.

## What is promised

- At no time do more clients believe that they hold a lock than it has room for: one, or as many as share it, or as its
  permits allow. A client counts on its own monotonic clock, from before it asked, and no server grants a lock to the next
  before the holder's time has passed on its own.
- Fencing tokens of a lock rise with every grant, over restarts and failovers of servers and of etcd.
- Who waits is served in the order of asking. A wait keeps its place when its server is killed, paused or cut off, if the
  client reaches another server within \`--waiter-grace-ms\`.
- A lock that is kept alive is not lost when a server is killed, paused or restarted, as long as its TTL is longer than
  the client needs to reach another server: about a second after a kill, \`--session-timeout-ms\` after a silence.
- An answered unlock has taken effect. Nothing is left behind by clients that died.

## What is not promised

- **That the holder still holds when its write arrives.** No lock service can promise that: see
  [the fence](#the-fence).
- That service goes on without a majority of etcd's members. Then nothing is granted, and holders are told before their
  time is over.
- That a client which is the only one to be cut off keeps its locks. They end with their TTL.
- That a lock outlives an etcd that loses acknowledged writes or is restored from a backup. Servers notice it, say so, and tell
  holders of what is lost; tokens go on rising above all that a running server has seen.
- Anything on machines whose monotonic clocks run at rates far apart: 0.1 % of a wait is allowed for, and the margin before
  the signal (5 % of the TTL, at most 250 ms).

## The fence

A process can sleep between looking at its lock and writing: garbage collection, a paused virtual machine, a full disk, a
packet that was under way. When it goes on, another may hold the lock. So what the lock guards has to look at the fencing
token, and refuse one that is lower than the highest it has seen. In this campaign it refused
${count(writes.refused)} of ${count(writes.taken + writes.refused)} writes, from workers that wrote without looking at their signal.

\`\`\`ts
await meta.withLock(\`orders/\${orderId}\`, async (lock) => {
  const { rowCount } = await db.query(
    "UPDATE orders SET status = 'shipped', fence = $1 WHERE id = $2 AND fence <= $1",
    [lock.token, orderId],
  );
  if (rowCount === 0) throw new Error("another worker has had the lock since, or there is no such order");
});
\`\`\`

The column is there from the beginning, and everybody who writes the row compares it:

\`\`\`sql
ALTER TABLE orders ADD COLUMN fence bigint NOT NULL DEFAULT 0;
\`\`\`

Where there is no row yet, a table of fences does the same. Its row is locked until the transaction ends, so that nobody
with a lower token comes in between:

\`\`\`sql
BEGIN;
INSERT INTO fences (name, token) VALUES ('orders/42', $1)
  ON CONFLICT (name) DO UPDATE SET token = excluded.token WHERE fences.token <= excluded.token;
-- No row was changed: a later holder was here. ROLLBACK and stop.
INSERT INTO shipments (order_id) VALUES (42);
COMMIT;
\`\`\`

A resource that cannot compare (an object store without conditions, a device, an e-mail) is as safe as the holder is
punctual: pass \`lock.signal\` to everything that takes time, and keep the guarded work much shorter than the TTL.

## How it was measured

Three etcd, three metasrv and three client processes, each in a network namespace of its own on one machine. Firewalls drop
packets, one way or both; delays are made by a proxy before one of the nodes. Each client process has 31 workers, each with a
\`MetaClient\` of its own that knows all three servers: some queue for three hot locks, some for several of them at once, some
hold locks of their own for seconds, some share locks or take permits, some only try, some have little patience, some go away
with the lock or write without looking. One releases hot and shared locks by force, sometimes by a token that is nobody's.
Twelve ask for a free lock again and again, to see when the service serves. What the locks guard is a process of its own, which
checks tokens.

All write down what they do, by the machine's one monotonic clock; a watch on etcd tells of every ticket. At the end a checker
holds all of it against the promises: beliefs must not overlap, tokens must rise in the order of grants, a grant must belong to a
committed ticket which stays as long as its holder believes, what is unlocked within its time must be free at once, nothing
must be left, no stale write be taken and no holder's write be refused. Several locks count as one hold of each. What was
released by force is lost, and its client must be told within a second where nothing is broken; nothing else may go that way.

${circumstances.map((line) => `- ${line}`).join("\n")}
- Again: \`${command}\`

## What was seen

${count(acquisitions)} locks were acquired in ${Math.round(seconds)} s, with ${count(effects.filter(({ kind }) => kind !== "quiet").length)} faults. Violations: ${violations.length}.

${markdownTable(verdictsTable(verdicts))}

"Away" is the longest time without a grant of a free lock to a client that asks all the time, of the worst of all clients; each
fault has one. "quiet" is the same when nothing is wrong. "etcd away" is the same for plain puts to etcd beside it. "Holds lost" are locks with a
TTL of 10 s that were kept alive; "places lost" are waits that had to begin again at the end of the queue; "late tickets" came into etcd when their
requesters had long been served by another server, and kept the lock from others for more than half a second; "errors" are those that
callers got, which wait for a server for 10 s.

${markdownTable(effectsTable(summary))}

${markdownTable(faultsTable(summary))}
`;
}

function count(value: number): string {
  return value.toLocaleString("en");
}
