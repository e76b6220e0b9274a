import { FieldReader, FieldWriter } from "@metasrv/wire";
import type { Command, Entry, ForceCommand, RemoveCause, StateHash } from "../model/command.js";
import { FatalError } from "../model/fatal-error.js";
import type { TicketContent } from "../model/ticket-content.js";
import type { LockName, TicketId, TicketRef } from "../model/ticket-ref.js";
import { Contents, isPossibleContent, readContent, sizeOfContent, writeContent } from "./content-codec.js";

/*
 * Entries as they are stored, `metasrv.store.v1.Entry`, written and read field by field: a lock takes two commands.
 */

const varint = 0;
const bytes = 2;
const fixed32 = 5;
const tag = (field: number, type: number) => (field << 3) | type;

const causes: Readonly<Record<RemoveCause, number>> = { released: 1, expired: 2, cancelled: 3, abandoned: 4 };
const causeOf = new Map(Object.entries(causes).map(([cause, number]) => [number, cause as RemoveCause]));

const writer = new FieldWriter();

/** Bytes that a command takes in an entry, at most. */
export function sizeOfCommand(command: Command): number {
  switch (command.kind) {
    case "create":
      return 64 + command.name.length + sizeOfContent(command.content);
    case "force":
      return 80 + command.name.length + (command.actor.length + command.reason.length) * 3;
    case "renew":
      return 80 + command.name.length + (command.value?.length ?? 0);
    case "remove":
    case "adopt":
      return 80 + command.name.length;
    default:
      return 16;
  }
}

/** The bytes of an entry. */
export function encodeEntry({ level, settled, seen, commands }: Entry): Buffer {
  const contents = new Contents();
  writer.uint(1, level);
  if (settled > 0) {
    writer.uint(2, settled);
  }
  if (seen !== undefined) {
    const start = writer.open(3);
    writer.bigint(1, seen.revision);
    writer.fixed32(2, seen.low);
    writer.fixed32(3, seen.high);
    writer.close(start);
  }
  for (const command of commands) {
    const start = writer.open(5);
    writeCommand(command, contents);
    writer.close(start);
  }
  for (const content of contents.all) {
    const start = writer.open(4);
    writeContent(writer, content);
    writer.close(start);
  }
  return writer.take();
}

function writeCommand(command: Command, contents: Contents): void {
  switch (command.kind) {
    case "create": {
      const start = openFor(1, command);
      const content = contents.indexOf(command.content);
      if (content > 0) {
        writer.uint(3, content);
      }
      if (command.attempt > 0) {
        writer.uint(4, command.attempt);
      }
      if (command.try) {
        writer.bool(5, true);
      }
      writer.close(start);
      break;
    }
    case "renew": {
      const start = openFor(2, command);
      writer.bigint(3, command.token);
      if (command.ttlMs > 0) {
        writer.uint(4, command.ttlMs);
      }
      if (command.downgrade) {
        writer.bool(5, true);
      }
      if (command.value !== undefined) {
        writer.latin1(6, command.value);
        writer.bool(7, true);
      }
      writer.close(start);
      break;
    }
    case "force": {
      const start = writer.open(7);
      writer.latin1(1, command.name);
      writer.bigint(2, command.token);
      writer.text(3, command.actor);
      writer.text(4, command.reason);
      writer.uint(5, command.unixMs);
      writer.close(start);
      break;
    }
    case "remove": {
      const start = openFor(3, command);
      writer.bigint(3, command.token);
      writer.uint(4, causes[command.cause]);
      if (command.memberId !== "") {
        writer.text(5, command.memberId);
      }
      writer.close(start);
      break;
    }
    case "adopt": {
      const start = openFor(4, command);
      writer.bigint(3, command.token);
      writer.text(4, command.memberId);
      writer.close(start);
      break;
    }
    case "raise-floor": {
      const start = writer.open(5);
      writer.bigint(1, command.token);
      writer.close(start);
      break;
    }
    case "raise-level": {
      const start = writer.open(6);
      writer.uint(1, command.level);
      writer.close(start);
    }
  }
}

function openFor(field: number, { name, id }: TicketRef): number {
  const start = writer.open(field);
  writer.latin1(1, name);
  writer.latin1(2, id);
  return start;
}

/** What one command says, before it is known what it means. */
interface CommandFields {
  kind: number;
  name: string;
  id: string;
  third: bigint;
  fourth: number;
  text: string;
  flag: boolean;
  value: string;
  setValue: boolean;
  /** One whose fields are unlike those of all others. */
  force: ForceCommand | undefined;
}

/**
 * Reads an entry.
 *
 * @param known - the highest level that this version reads; of an entry above it, only the level is read
 * @throws MalformedMessageError for bytes that are no entry; FatalError for an entry of a known level that has what no
 *   server of that level writes
 */
export function decodeEntry(message: Buffer, known: number): Entry {
  const reader = new FieldReader(message);
  let level = 0;
  let settled = 0;
  let seen: StateHash | undefined;
  const contents: TicketContent[] = [];
  const read: CommandFields[] = [];
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    switch (field) {
      case tag(1, varint):
        level = reader.uint32();
        break;
      case tag(2, varint):
        settled = reader.uint();
        break;
      case tag(3, bytes):
        seen = readSeen(reader);
        break;
      case tag(4, bytes):
        contents.push(readContent(reader));
        break;
      case tag(5, bytes):
        read.push(readCommand(reader));
        break;
      default:
        reader.skip(field);
    }
  }
  const commands = level > known ? [] : read.map((fields) => commandOf(fields, contents));
  return { level, settled, seen, commands };
}

function readSeen(reader: FieldReader): StateHash {
  let revision = 0n;
  let low = 0;
  let high = 0;
  const end = reader.enter();
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    switch (field) {
      case tag(1, varint):
        revision = reader.bigint();
        break;
      case tag(2, fixed32):
        low = reader.fixed32();
        break;
      case tag(3, fixed32):
        high = reader.fixed32();
        break;
      default:
        reader.skip(field);
    }
  }
  reader.leave(end);
  return { revision, low, high };
}

function readCommand(reader: FieldReader): CommandFields {
  const fields: CommandFields = {
    kind: 0,
    name: "",
    id: "",
    third: 0n,
    fourth: 0,
    text: "",
    flag: false,
    value: "",
    setValue: false,
    force: undefined,
  };
  const end = reader.enter();
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if ((field & 7) === bytes && field >>> 3 <= 6) {
      fields.kind = field >>> 3;
      readFields(reader, fields);
    } else if (field === tag(7, bytes)) {
      fields.force = readForce(reader);
    } else {
      reader.skip(field);
    }
  }
  reader.leave(end);
  return fields;
}

/** The fields of a command. Commands share their numbers, and tell by their kind what these mean. */
function readFields(reader: FieldReader, fields: CommandFields): void {
  const end = reader.enter();
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    switch (field) {
      case tag(1, bytes):
        fields.name = reader.latin1();
        break;
      case tag(1, varint):
      case tag(3, varint):
        fields.third = reader.bigint();
        break;
      case tag(2, bytes):
        fields.id = reader.latin1();
        break;
      case tag(4, varint):
        fields.fourth = reader.uint();
        break;
      case tag(4, bytes):
      case tag(5, bytes):
        fields.text = reader.text();
        break;
      case tag(5, varint):
        fields.flag = reader.bool();
        break;
      case tag(6, bytes):
        fields.value = reader.latin1();
        break;
      case tag(7, varint):
        fields.setValue = reader.bool();
        break;
      default:
        reader.skip(field);
    }
  }
  reader.leave(end);
}

function readForce(reader: FieldReader): ForceCommand {
  const command = { kind: "force" as const, name: "" as LockName, token: 0n, actor: "", reason: "", unixMs: 0 };
  const end = reader.enter();
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    switch (field) {
      case tag(1, bytes):
        command.name = reader.latin1() as LockName;
        break;
      case tag(2, varint):
        command.token = reader.bigint();
        break;
      case tag(3, bytes):
        command.actor = reader.text();
        break;
      case tag(4, bytes):
        command.reason = reader.text();
        break;
      case tag(5, varint):
        command.unixMs = reader.uint();
        break;
      default:
        reader.skip(field);
    }
  }
  reader.leave(end);
  return command;
}

function commandOf(fields: CommandFields, contents: readonly TicketContent[]): Command {
  if (fields.force !== undefined) {
    return fields.force;
  }
  const { third: token, fourth, text } = fields;
  const name = fields.name as LockName;
  const id = fields.id as TicketId;
  switch (fields.kind) {
    case 1: {
      const content = contents[Number(token)];
      if (content !== undefined && isPossibleContent(content, name)) {
        return { kind: "create", name, id, content, attempt: fourth, try: fields.flag };
      }
      break;
    }
    case 2:
      return {
        kind: "renew",
        name,
        id,
        token,
        ttlMs: fourth,
        downgrade: fields.flag,
        value: fields.setValue ? fields.value : undefined,
      };
    case 3: {
      const cause = causeOf.get(fourth);
      if (cause !== undefined) {
        return { kind: "remove", name, id, token, cause, memberId: text };
      }
      break;
    }
    case 4:
      return { kind: "adopt", name, id, token, memberId: text };
    case 5:
      return { kind: "raise-floor", token };
    case 6:
      return { kind: "raise-level", level: Number(token) };
  }
  throw new FatalError(
    `an entry of the log has a command that this version cannot read (kind ${fields.kind}), though it is of a known ` +
      "level: another program or a faulty server wrote it; upgrade this server, and report this with the versions of all",
  );
}
