import { setTimeout as sleep } from "node:timers/promises";
import type { LockInfo, MetaClient } from "@metasrv/meta-client";
import { formatDuration } from "../durations.js";
import type { Output } from "../output.js";
import { shownName } from "../terminal-text.js";

const lookIntervalMs = 1_000;
/** The most that a server shows. */
const maxTickets = 250;

/** Whose wait is shown. */
export interface WaitOptions {
  readonly meta: MetaClient;
  readonly output: Output;
  /** The lock; the first of several. */
  readonly name: string;
  /** By what the request is known in the queue. */
  readonly owner: string;
}

/**
 * Shows, once a second, at which place a request waits and for whom, until the returned function is called. Nothing is asked for
 * if nobody would see it.
 */
export function showWait(options: WaitOptions): () => void {
  const { output } = options;
  const over = new AbortController();
  if (output.hasProgress || output.hasEvents) {
    void look(options, over.signal);
  }
  return () => {
    over.abort();
    output.endProgress();
  };
}

async function look({ meta, output, name, owner }: WaitOptions, over: AbortSignal): Promise<void> {
  let told = "";
  for (;;) {
    try {
      await sleep(lookIntervalMs, undefined, { signal: over });
    } catch {
      return;
    }
    // A server that cannot show the queue may still keep the wait.
    const info = await meta.locks.get(name, { maxTickets }).catch(() => undefined);
    if (over.aborted) {
      return;
    }
    if (info === undefined) {
      output.progress(`waiting for ${shownName(name)}`);
      continue;
    }
    const position = info.tickets.find((ticket) => ticket.owner === owner && !ticket.holds)?.position;
    output.progress(waitText(info, position));
    const details = { name, position, waiters: info.waiters, holders: info.holders };
    const key = JSON.stringify([position, info.waiters, info.holders.map(({ token }) => String(token))]);
    if (key !== told) {
      told = key;
      output.event("waiting", details);
    }
  }
}

/** For example: 3rd of 5 for orders/42, held by api-7:4312 for 2m. */
export function waitText({ name, waiters, holders, holderCount }: LockInfo, position: number | undefined): string {
  const place = position === undefined || position === 0 ? "waiting" : `${ordinal(position)} of ${waiters}`;
  const [first] = holders;
  if (first === undefined) {
    return `${place} for ${shownName(name)}`;
  }
  const others = holderCount > 1 ? ` and ${holderCount - 1} more` : "";
  const owner = first.owner === "" ? `token ${first.token}` : first.owner;
  const how = first.reserves ? "reserved by" : "held by";
  return `${place} for ${shownName(name)}, ${how} ${owner}${others} for ${formatDuration(first.heldMs)}`;
}

function ordinal(n: number): string {
  const isTeen = n % 100 >= 11 && n % 100 <= 13;
  const ending = isTeen ? "th" : (["th", "st", "nd", "rd"][n % 10] ?? "th");
  return `${n}${ending}`;
}
