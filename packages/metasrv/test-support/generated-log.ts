import fc from "fast-check";
import type { Fold } from "../src/fold/fold.js";
import type { FoldSnapshot } from "../src/log/command-log.js";
import { type Command, knownLevel, type LoggedEntry, type Outcome, type RemoveCause } from "../src/model/command.js";
import type { SnapshotPart } from "../src/model/snapshot.js";
import {
  exclusive,
  extrasOf,
  type LockPart,
  type Share,
  shared,
  type TicketContent,
} from "../src/model/ticket-content.js";
import type { LockName } from "../src/model/ticket-ref.js";
import { PlainTable, type PlainTicket } from "./plain-table.js";
import { idOf, nameOf } from "./told.js";

/** An entry of a generated log, and what it leads to. */
export interface Step {
  readonly logged: LoggedEntry;
  readonly outcomes: readonly Outcome[];
  /** All tickets after it, in the order of the log. */
  readonly tickets: readonly PlainTicket[];
  /** The queues after it, and which in them are admitted. */
  readonly queues: ReadonlyMap<
    LockName,
    readonly (LockPart & { readonly token: bigint; readonly admitted: boolean })[]
  >;
}

/** The locks of a generated log. */
export const lockNames: readonly LockName[] = ["a", "b", "c"].map(nameOf);

/** Who writes entries. */
export const writerIds = ["m1", "m2", "m3"] as const;

/** A command before it is known which ticket stands where it will be written. */
interface CommandPlan {
  readonly kind: Command["kind"];
  readonly lock: string;
  readonly ticket: number;
  /** Of `right`, the ticket's own token; of `stale`, another one. */
  readonly token: "right" | "stale";
  readonly memberId: string;
  /** Whether `memberId` is to be the ticket's own, where it has one. */
  readonly ownMember: boolean;
  readonly content: Omit<TicketContent, keyof Share | "extras">;
  readonly share: Share;
  /** More locks that are asked for at once: those of them that are above the first. */
  readonly others: readonly (Share & { readonly lock: string })[];
  readonly value: string | undefined;
  readonly attempt: number;
  readonly try: boolean;
  readonly ttlMs: number;
  readonly downgrade: boolean;
  readonly cause: RemoveCause;
  /** How far a floor is above the place of its command. */
  readonly floor: number;
}

interface EntryPlan {
  readonly writer: string;
  /** Revisions that others' writes took before it. */
  readonly gap: number;
  /** How many of its entries' outcomes the writer does not know. */
  readonly unsettled: number;
  readonly commands: readonly CommandPlan[];
}

const anyShare: fc.Arbitrary<Share> = fc.oneof(
  fc.constantFrom(exclusive, shared),
  fc.constantFrom(
    { permits: 1, limit: 2 },
    { permits: 2, limit: 2 },
    { permits: 1, limit: 3 },
    { permits: 2, limit: 3 },
    { permits: 3, limit: 5 },
  ),
);

const commandPlan: fc.Arbitrary<CommandPlan> = fc.record({
  kind: fc.oneof(
    { weight: 5, arbitrary: fc.constant("create" as const) },
    { weight: 4, arbitrary: fc.constant("remove" as const) },
    { weight: 2, arbitrary: fc.constantFrom("renew" as const, "adopt" as const) },
    { weight: 1, arbitrary: fc.constant("force" as const) },
    { weight: 1, arbitrary: fc.constantFrom("raise-floor" as const, "raise-level" as const) },
  ),
  lock: fc.constantFrom("a", "a", "b", "c"),
  ticket: fc.integer({ min: 1, max: 5 }),
  token: fc.oneof({ weight: 6, arbitrary: fc.constant("right" as const) }, fc.constant("stale" as const)),
  memberId: fc.constantFrom(...writerIds),
  ownMember: fc.boolean(),
  content: fc.record({
    ttlMs: fc.constantFrom(10, 10_000),
    owner: fc.constantFrom("", "an owner"),
    resumable: fc.boolean(),
  }),
  share: anyShare,
  others: fc.oneof(
    { weight: 2, arbitrary: fc.constant([]) },
    fc
      .subarray(["b", "c"], { minLength: 1 })
      .chain((locks) => fc.tuple(...locks.map((lock) => anyShare.map((share) => ({ lock, ...share }))))),
  ),
  value: fc.option(fc.constantFrom("", "one", "another"), { nil: undefined }),
  attempt: fc.nat({ max: 3 }),
  try: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.constant(true)),
  ttlMs: fc.constantFrom(0, 0, 10, 500),
  downgrade: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.constant(true)),
  cause: fc.constantFrom("released", "expired", "cancelled", "abandoned"),
  floor: fc.oneof(
    fc.integer({ min: -1, max: 5 }),
    fc.integer({ min: -4096, max: 4096 }),
    fc.integer({ min: -1_000_000, max: 1_000_000 }),
  ),
});

const entryPlan: fc.Arbitrary<EntryPlan> = fc.record({
  writer: fc.constantFrom(...writerIds),
  gap: fc.nat({ max: 2 }),
  unsettled: fc.nat({ max: 3 }),
  commands: fc.array(commandPlan, { minLength: 1, maxLength: 5 }),
});

/** A log of several writers, with commands of all kinds, many of which come too late or are none of their writer's business. */
export const generatedLog: fc.Arbitrary<readonly Step[]> = fc
  .array(entryPlan, { minLength: 1, maxLength: 25 })
  .map(written);

/** Writes a log as it was planned. */
function written(plans: readonly EntryPlan[]): Step[] {
  const table = new PlainTable();
  const sequences = new Map<string, number>();
  let revision = 0n;
  return plans.map(({ writer, gap, unsettled, commands: planned }) => {
    const sequence = (sequences.get(writer) ?? 0) + 1;
    sequences.set(writer, sequence);
    revision += BigInt(gap + 1);
    const commands: Command[] = [];
    const outcomes = planned.map((plan, index) => {
      const command = commandOf(plan, table, revision);
      commands.push(command);
      return table.execute(command, writer, revision, index);
    });
    const settled = Math.max(0, sequence - 1 - unsettled);
    const entry = { level: knownLevel, settled, seen: undefined, commands };
    return {
      logged: { memberId: writer, sequence, revision, entry },
      outcomes,
      tickets: table.tickets,
      queues: queuesOf(table),
    };
  });
}

function queuesOf(table: PlainTable): Step["queues"] {
  return new Map(
    lockNames.map((name) => {
      return [name, table.queue(name).map((part) => ({ ...part, admitted: table.isAdmitted(part.token, name) }))];
    }),
  );
}

function commandOf(plan: CommandPlan, table: PlainTable, revision: bigint): Command {
  const ref = { name: nameOf(plan.lock), id: idOf(plan.ticket) };
  const ticket = table.find(ref);
  const token = ticket === undefined ? 1n : ticket.token - (plan.token === "right" ? 0n : 1n);
  const memberId = plan.ownMember && ticket !== undefined ? ticket.memberId : plan.memberId;
  const others = plan.others
    .filter(({ lock }) => lock > plan.lock)
    .map(({ lock, permits, limit }) => ({ name: nameOf(lock), permits, limit }));
  switch (plan.kind) {
    case "force": {
      const forced =
        ticket === undefined
          ? undefined
          : [ref.name, ...(ticket.content.extras?.others ?? []).map(({ name }) => name)].at(-1);
      return {
        kind: "force",
        name: forced ?? ref.name,
        token,
        actor: "ops",
        reason: plan.lock,
        unixMs: Number(revision),
      };
    }
    case "create":
      return {
        kind: "create",
        ...ref,
        content: { ...plan.content, ...plan.share, extras: extrasOf({ others, value: plan.value ?? "" }) },
        attempt: plan.attempt,
        try: plan.try,
      };
    case "renew":
      return { kind: "renew", ...ref, token, ttlMs: plan.ttlMs, downgrade: plan.downgrade, value: plan.value };
    case "adopt":
      return { kind: "adopt", ...ref, token, memberId };
    case "remove":
      return { kind: "remove", ...ref, token, cause: plan.cause, memberId: plan.cause === "abandoned" ? memberId : "" };
    case "raise-floor": {
      const floor = table.tokenAt(revision, 0) + BigInt(plan.floor);
      return { kind: "raise-floor", token: floor < 0n ? 0n : floor };
    }
    case "raise-level":
      return { kind: "raise-level", level: 1 };
  }
}

/** Everything of a snapshot, in parts of so many tickets. */
export function partsOf(snapshot: FoldSnapshot, count = 3): SnapshotPart[] {
  const parts: SnapshotPart[] = [];
  for (let part = snapshot.next(count); part !== undefined; part = snapshot.next(count)) {
    parts.push(part);
  }
  return parts;
}

/** A fold that begins with a snapshot, as a server does that starts. */
export function loadedFrom(fold: Fold, { base, hash }: FoldSnapshot, parts: readonly SnapshotPart[]): Fold {
  const loaded = fold.fresh(base);
  for (const part of parts) {
    loaded.load(part);
  }
  loaded.loaded(hash);
  return loaded;
}
