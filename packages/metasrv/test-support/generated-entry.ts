import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type CommandSchema,
  type Entry as EntryMessage,
  EntrySchema,
  RemoveCause as StoredCause,
  type TicketContentSchema,
} from "@metasrv/proto/metasrv/store/v1";
import fc from "fast-check";
import type { Command, Entry, RemoveCause, TicketContent } from "../src/model/command.js";
import { type LockName, lockNameBytes, lockNameOf } from "../src/model/lock-name.js";
import { exclusive, noLimit, type Share, shared } from "../src/model/share.js";
import { type TicketId, ticketIdBytes, ticketIdFrom } from "../src/model/ticket-id.js";

/** Any bytes, as a name is. */
export const anyName: fc.Arbitrary<LockName> = fc.uint8Array({ minLength: 1, maxLength: 200 }).map(lockNameOf);
export const anyId: fc.Arbitrary<TicketId> = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(ticketIdFrom);
export const anyToken = fc.oneof(fc.bigInt({ min: 0n, max: 300n }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));
export const anyUint32 = fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 2 ** 32 - 1 }));
/** As members are called. */
export const anyMemberId = fc.stringMatching(/^[0-9a-f]{16}$/);
export const anyNumber = fc.oneof(fc.nat({ max: 300 }), fc.maxSafeNat());

const anyShare: fc.Arbitrary<Share> = fc.oneof(
  fc.constantFrom(exclusive, shared),
  fc
    .record({ permits: fc.integer({ min: 1, max: noLimit }), limit: fc.integer({ min: 1, max: noLimit }) })
    .map(({ permits, limit }) => ({ permits: Math.min(permits, limit), limit: Math.max(permits, limit) })),
);

export const anyContent: fc.Arbitrary<TicketContent> = fc
  .tuple(
    fc.record({
      ttlMs: anyNumber,
      owner: fc.oneof(fc.string(), fc.string({ unit: "binary", maxLength: 80 })),
      resumable: fc.boolean(),
    }),
    anyShare,
  )
  .map(([content, share]) => ({ ...content, ...share }));

const ref = { name: anyName, id: anyId };

const anyCommand: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ kind: fc.constant("create"), ...ref, content: anyContent, attempt: anyUint32, try: fc.boolean() }),
  fc.record({ kind: fc.constant("renew"), ...ref, token: anyToken, ttlMs: anyNumber, downgrade: fc.boolean() }),
  fc.record({
    kind: fc.constant("remove"),
    ...ref,
    token: anyToken,
    cause: fc.constantFrom("released", "expired", "cancelled", "abandoned"),
    memberId: fc.oneof(fc.constant(""), anyMemberId),
  }),
  fc.record({ kind: fc.constant("adopt"), ...ref, token: anyToken, memberId: anyMemberId }),
  fc.record({ kind: fc.constant("raise-floor"), token: anyToken }),
  fc.record({ kind: fc.constant("raise-level"), level: anyUint32 }),
);

/** An entry with any values that its fields can have. */
export const anyEntry: fc.Arbitrary<Entry> = fc.record({
  level: anyUint32,
  settled: anyNumber,
  seen: fc.option(fc.record({ revision: anyToken, low: anyUint32, high: anyUint32 }), { nil: undefined }),
  commands: fc.array(anyCommand, { maxLength: 8 }),
});

const causes: Readonly<Record<RemoveCause, StoredCause>> = {
  released: StoredCause.RELEASED,
  expired: StoredCause.EXPIRED,
  cancelled: StoredCause.CANCELLED,
  abandoned: StoredCause.ABANDONED,
};

/** The message that an entry is, with a content for each command that has one, in the order of the commands. */
export function messageOf({ level, settled, seen, commands }: Entry): EntryMessage {
  const contents = commands.flatMap((command) => (command.kind === "create" ? [command.content] : []));
  let content = 0;
  return create(EntrySchema, {
    level,
    settled: BigInt(settled),
    ...(seen !== undefined && { seen }),
    contents: contents.map(contentMessage),
    commands: commands.map((command) => ({
      command: commandMessage(command, command.kind === "create" ? content++ : 0),
    })),
  });
}

/** The message that a content is. */
export function contentMessage(content: TicketContent): MessageInitShape<typeof TicketContentSchema> {
  const { ttlMs, owner, resumable, permits, limit } = content;
  return { ttlMs: BigInt(ttlMs), owner, resumable, ...(limit > 1 && { permits, limit }) };
}

function commandMessage(
  command: Command,
  content: number,
): NonNullable<MessageInitShape<typeof CommandSchema>["command"]> {
  if (command.kind === "raise-floor") {
    return { case: "raiseFloor", value: { token: command.token } };
  }
  if (command.kind === "raise-level") {
    return { case: "raiseLevel", value: { level: command.level } };
  }
  const named = { name: lockNameBytes(command.name), id: ticketIdBytes(command.id) };
  switch (command.kind) {
    case "create":
      return { case: "create", value: { ...named, content, attempt: command.attempt, try: command.try } };
    case "renew":
      return {
        case: "renew",
        value: { ...named, token: command.token, ttlMs: BigInt(command.ttlMs), downgrade: command.downgrade },
      };
    case "remove": {
      const { token, cause, memberId } = command;
      return { case: "remove", value: { ...named, token, cause: causes[cause], memberId } };
    }
    case "adopt":
      return { case: "adopt", value: { ...named, token: command.token, memberId: command.memberId } };
  }
}

/** The entry that a message is; undefined where a command is none, or says what no command says. */
export function entryOf({ level, settled, seen, contents, commands }: EntryMessage): Entry | undefined {
  const read = commands.map((command) => commandOf(command, contents));
  const known = read.filter((command) => command !== undefined);
  return known.length < read.length
    ? undefined
    : {
        level,
        settled: Number(settled),
        seen: seen === undefined ? undefined : { revision: seen.revision, low: seen.low, high: seen.high },
        commands: known,
      };
}

function commandOf(
  { command }: EntryMessage["commands"][number],
  contents: EntryMessage["contents"],
): Command | undefined {
  if (command.case === undefined) {
    return undefined;
  }
  if (command.case === "raiseFloor") {
    return { kind: "raise-floor", token: command.value.token };
  }
  if (command.case === "raiseLevel") {
    return { kind: "raise-level", level: command.value.level };
  }
  const named = { name: lockNameOf(command.value.name), id: ticketIdFrom(command.value.id) };
  switch (command.case) {
    case "create": {
      const { content: index, attempt, try: impatient } = command.value;
      const content = contents[index];
      const known = content && contentOf(content);
      return known && known.permits <= known.limit
        ? { kind: "create", ...named, content: known, attempt, try: impatient }
        : undefined;
    }
    case "renew":
      return {
        kind: "renew",
        ...named,
        token: command.value.token,
        ttlMs: Number(command.value.ttlMs),
        downgrade: command.value.downgrade,
      };
    case "remove": {
      const { token, cause: stored, memberId } = command.value;
      const [cause] = Object.entries(causes).find(([, number]) => number === stored) ?? [];
      return cause === undefined
        ? undefined
        : { kind: "remove", ...named, token, cause: cause as RemoveCause, memberId };
    }
    case "adopt":
      return { kind: "adopt", ...named, token: command.value.token, memberId: command.value.memberId };
  }
}

/** The content that a message is. */
export function contentOf({
  ttlMs,
  owner,
  resumable,
  permits,
  limit,
}: EntryMessage["contents"][number]): TicketContent {
  return { ttlMs: Number(ttlMs), owner, resumable, permits: permits || 1, limit: limit || 1 };
}
