import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type CommandSchema,
  type Entry as EntryMessage,
  EntrySchema,
  RemoveCause as StoredCause,
  type TicketContentSchema,
} from "@metasrv/proto/metasrv/store/v1";
import fc from "fast-check";
import type { Command, Entry, RemoveCause } from "../src/model/command.js";
import {
  exclusive,
  extrasOf,
  noLimit,
  type Share,
  shared,
  type TicketContent,
  type TicketExtras,
} from "../src/model/ticket-content.js";
import {
  type LockName,
  lockNameBytes,
  lockNameOf,
  type TicketId,
  ticketIdBytes,
  ticketIdFrom,
} from "../src/model/ticket-ref.js";

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

const anyText = fc.oneof(fc.string({ maxLength: 20 }), fc.string({ unit: "binary", maxLength: 20 }));

const anyExtras: fc.Arbitrary<TicketExtras | undefined> = fc
  .record({
    others: fc.uniqueArray(
      fc.tuple(anyName, anyShare).map(([name, share]) => ({ name, ...share })),
      { maxLength: 3, selector: ({ name }) => name },
    ),
    labels: fc.uniqueArray(fc.tuple(anyText, anyText), { maxLength: 3, selector: ([key]) => key }),
    within: fc.array(fc.record({ name: anyName, token: anyToken }), { maxLength: 2 }),
    value: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
  })
  .map(({ others, ...extras }) => extrasOf({ ...extras, others: others.sort((a, b) => (a.name < b.name ? -1 : 1)) }));

/** A content that a ticket of this lock can have: without the other locks whose names are not above its own. */
export function fitting(name: LockName, content: TicketContent): TicketContent {
  const { extras } = content;
  return extras === undefined
    ? content
    : { ...content, extras: extrasOf({ ...extras, others: extras.others.filter((part) => part.name > name) }) };
}

export const anyContent: fc.Arbitrary<TicketContent> = fc
  .tuple(
    fc.record({
      ttlMs: anyNumber,
      owner: fc.oneof(fc.string(), fc.string({ unit: "binary", maxLength: 80 })),
      resumable: fc.boolean(),
    }),
    anyShare,
    fc.oneof({ weight: 2, arbitrary: fc.constant(undefined) }, anyExtras),
  )
  .map(([content, share, extras]) => ({ ...content, ...share, extras }));

const ref = { name: anyName, id: anyId };

const anyCommand: fc.Arbitrary<Command> = fc.oneof(
  fc
    .record({ kind: fc.constant("create"), ...ref, content: anyContent, attempt: anyUint32, try: fc.boolean() })
    .map((command) => ({ ...command, content: fitting(command.name, command.content) })),
  fc.record({
    kind: fc.constant("renew"),
    ...ref,
    token: anyToken,
    ttlMs: anyNumber,
    downgrade: fc.boolean(),
    value: fc.option(
      fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
      { nil: undefined },
    ),
  }),
  fc.record({
    kind: fc.constant("force"),
    name: anyName,
    token: anyToken,
    actor: anyText,
    reason: anyText,
    unixMs: anyNumber,
  }),
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
  const { ttlMs, owner, resumable, permits, limit, extras } = content;
  return {
    ttlMs: BigInt(ttlMs),
    owner,
    resumable,
    ...(limit > 1 && { permits, limit }),
    ...(extras !== undefined && {
      others: extras.others.map((part) => ({ ...part, name: lockNameBytes(part.name) })),
      labels: extras.labels.map(([key, value]) => ({ key, value })),
      within: extras.within.map(({ name, token }) => ({ name: lockNameBytes(name), token })),
      value: Buffer.from(extras.value, "latin1"),
    }),
  };
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
  if (command.kind === "force") {
    const { name, token, actor, reason, unixMs } = command;
    return { case: "force", value: { name: lockNameBytes(name), token, actor, reason, unixMs: BigInt(unixMs) } };
  }
  const named = { name: lockNameBytes(command.name), id: ticketIdBytes(command.id) };
  switch (command.kind) {
    case "create":
      return { case: "create", value: { ...named, content, attempt: command.attempt, try: command.try } };
    case "renew":
      return {
        case: "renew",
        value: {
          ...named,
          token: command.token,
          ttlMs: BigInt(command.ttlMs),
          downgrade: command.downgrade,
          ...(command.value !== undefined && { value: Buffer.from(command.value, "latin1"), setValue: true }),
        },
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
  if (command.case === "force") {
    const { name, token, actor, reason, unixMs } = command.value;
    return { kind: "force", name: lockNameOf(name), token, actor, reason, unixMs: Number(unixMs) };
  }
  const named = { name: lockNameOf(command.value.name), id: ticketIdFrom(command.value.id) };
  switch (command.case) {
    case "create": {
      const { content: index, attempt, try: impatient } = command.value;
      const content = contents[index];
      const known = content && contentOf(content);
      return known && isFitting(named.name, known)
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
        value: command.value.setValue ? Buffer.from(command.value.value).toString("latin1") : undefined,
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
  others,
  labels,
  within,
  value,
}: EntryMessage["contents"][number]): TicketContent {
  const extras = extrasOf({
    others: others.map((part) => ({ name: lockNameOf(part.name), permits: part.permits, limit: part.limit })),
    labels: labels.map((label) => [label.key, label.value] as const),
    within: within.map(({ name, token }) => ({ name: lockNameOf(name), token })),
    value: Buffer.from(value).toString("latin1"),
  });
  return { ttlMs: Number(ttlMs), owner, resumable, permits: permits || 1, limit: limit || 1, extras };
}

/** Whether a ticket of this lock can have this content. */
export function isFitting(name: LockName, content: TicketContent): boolean {
  const others = content.extras?.others ?? [];
  return (
    [content, ...others].every(({ permits, limit }) => permits <= limit) &&
    others.every((part, at) => part.name > (others[at - 1]?.name ?? name))
  );
}

/** Changes contents of any values into some that a ticket can have. */
export function makePossible(contents: EntryMessage["contents"]): void {
  for (const content of contents) {
    Object.assign(content, { permits: 2, limit: 3 });
    content.others.forEach((part, at) => {
      Object.assign(part, { name: Uint8Array.of(0xf0 + at), permits: 2, limit: 3 });
    });
  }
}
