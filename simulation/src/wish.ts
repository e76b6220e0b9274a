import type { Share } from "../../packages/metasrv/src/model/ticket-content.js";
import { lockNameOf } from "../../packages/metasrv/src/model/ticket-ref.js";
import type { ClaimPart } from "../../packages/metasrv/src/node/claim.js";
import type { BelievedPart } from "./beliefs.js";
import type { Profile } from "./profile.js";
import type { Random } from "./random.js";

/** What a client wants: a lock, or several at once. */
export interface Wish {
  readonly name: Uint8Array;
  readonly share: Share;
  /** More locks that it wants at once, in any order. */
  readonly others: readonly ClaimPart[];
  /** All of its locks, in the order of their names. */
  readonly parts: readonly BelievedPart[];
  /** In milliseconds; undefined: without end. */
  readonly waitMs: number | undefined;
  readonly ttlMs: number;
  /** Whether the client renews it by itself. */
  readonly keepAlive: boolean;
}

/** Draws what a client wants next. */
export function drawWish({ names, groups, grouping, shares, ttlsMs }: Profile, random: Random): Wish {
  const group = groups.length > 0 && random.chance(grouping) ? random.pick(groups) : undefined;
  const name = group === undefined ? random.pick(names) : random.pick(group);
  const waitMs = random.pick([undefined, undefined, undefined, 0, random.between(10, 3_000)]);
  const ttlMs = random.pick(ttlsMs);
  const share = random.pick(shares);
  const others = (group ?? [])
    .filter((other) => other !== name)
    .map((other) => ({ name: Buffer.from(other), share: random.pick(shares) }));
  const keepAlive = random.chance(0.7);
  const own = { name: Buffer.from(name), share };
  const parts = [own, ...others].map(believedPart).sort((a, b) => (a.name < b.name ? -1 : 1));
  return { ...own, others, parts, waitMs, ttlMs, keepAlive };
}

function believedPart({ name, share }: { readonly name: Uint8Array; readonly share: Share }): BelievedPart {
  return { name: lockNameOf(name), ...share };
}
