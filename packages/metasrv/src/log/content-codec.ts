import { FieldReader, type FieldWriter } from "@metasrv/wire";
import {
  extrasOf,
  type HeldTicket,
  isExclusive,
  isPossible,
  type LockPart,
  type TicketContent,
  type TicketExtras,
} from "../model/ticket-content.js";
import type { LockName } from "../model/ticket-ref.js";

/** Contents that are kept at hand: tickets of one client differ in name and id only, hardly in content. */
const maxKnown = 1_000;
const known = new Map<string, TicketContent>();

/** The contents of the tickets of one message, each once. */
export class Contents {
  readonly all: TicketContent[] = [];
  #last: TicketContent | undefined;
  #lastIndex = 0;
  readonly #indexes = new Map<string, number>();

  /** Where the content stands among {@link all}. */
  indexOf(content: TicketContent): number {
    if (content === this.#last) {
      return this.#lastIndex;
    }
    const { ttlMs, owner, resumable, permits, limit, extras } = content;
    const text = `${ttlMs} ${resumable} ${permits} ${limit} ${extrasText(extras)} ${owner}`;
    let index = this.#indexes.get(text);
    if (index === undefined) {
      index = this.all.push(content) - 1;
      this.#indexes.set(text, index);
    }
    this.#last = content;
    this.#lastIndex = index;
    return index;
  }
}

/** A text that tells extras from others. */
function extrasText(extras: TicketExtras | undefined): string {
  if (extras === undefined) {
    return "";
  }
  const { others, labels, within, value } = extras;
  const held = within.map(({ name, token }) => [name, String(token)]);
  return JSON.stringify([labels, others, held, value]);
}

/** Writes the fields of a `metasrv.store.v1.TicketContent`. */
export function writeContent(writer: FieldWriter, content: TicketContent): void {
  const { ttlMs, owner, resumable } = content;
  writer.uint(1, ttlMs);
  if (owner !== "") {
    writer.text(2, owner);
  }
  if (resumable) {
    writer.bool(3, true);
  }
  if (!isExclusive(content)) {
    writer.uint(4, content.permits);
    writer.uint(5, content.limit);
  }
  if (content.extras !== undefined) {
    writeExtras(writer, content.extras);
  }
}

function writeExtras(writer: FieldWriter, { others, labels, within, value }: TicketExtras): void {
  for (const { name, permits, limit } of others) {
    const start = writer.open(6);
    writer.latin1(1, name);
    writer.uint(2, permits);
    writer.uint(3, limit);
    writer.close(start);
  }
  for (const [key, text] of labels) {
    const start = writer.open(7);
    writer.text(1, key);
    writer.text(2, text);
    writer.close(start);
  }
  for (const { name, token } of within) {
    const start = writer.open(8);
    writer.latin1(1, name);
    writer.bigint(2, token);
    writer.close(start);
  }
  if (value !== "") {
    writer.latin1(9, value);
  }
}

/** Bytes that a content takes, at most. */
export function sizeOfContent({ owner, extras }: TicketContent): number {
  let size = 40 + owner.length * 3;
  if (extras !== undefined) {
    size += extras.value.length + 10;
    for (const { name } of [...extras.others, ...extras.within]) {
      size += name.length + 30;
    }
    for (const [key, text] of extras.labels) {
      size += (key.length + text.length) * 3 + 20;
    }
  }
  return size;
}

/** Whether a ticket of this lock can have this content. */
export function isPossibleContent(content: TicketContent, name: string): boolean {
  const others = content.extras?.others ?? [];
  const names = [name, ...others.map((part) => part.name)];
  return [content, ...others].every(isPossible) && names.every((it, at) => at === 0 || (names[at - 1] ?? "") < it);
}

/** Reads a content: the same bytes give the same object, as long as it is known. */
export function readContent(reader: FieldReader): TicketContent {
  const message = reader.bytes();
  const key = message.toString("latin1");
  let content = known.get(key);
  if (content === undefined) {
    content = decodeContent(message);
    if (known.size === maxKnown) {
      known.clear();
    }
    known.set(key, content);
  }
  return content;
}

function decodeContent(message: Buffer): TicketContent {
  const reader = new FieldReader(message);
  let ttlMs = 0;
  let owner = "";
  let resumable = false;
  let permits = 1;
  let limit = 1;
  const others: LockPart[] = [];
  const labels: (readonly [string, string])[] = [];
  const within: HeldTicket[] = [];
  let value = "";
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    switch (field) {
      case (1 << 3) | 0:
        ttlMs = reader.uint();
        break;
      case (2 << 3) | 2:
        owner = reader.text();
        break;
      case (3 << 3) | 0:
        resumable = reader.bool();
        break;
      case (4 << 3) | 0:
        permits = reader.uint32() || 1;
        break;
      case (5 << 3) | 0:
        limit = reader.uint32() || 1;
        break;
      case (6 << 3) | 2:
        others.push(readPart(reader));
        break;
      case (7 << 3) | 2:
        labels.push(readLabel(reader));
        break;
      case (8 << 3) | 2:
        within.push(readHeld(reader));
        break;
      case (9 << 3) | 2:
        value = reader.latin1();
        break;
      default:
        reader.skip(field);
    }
  }
  return { ttlMs, owner, resumable, permits, limit, extras: extrasOf({ others, labels, within, value }) };
}

function readPart(reader: FieldReader): LockPart {
  let name = "";
  let permits = 0;
  let limit = 0;
  const end = reader.enter();
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    switch (field) {
      case (1 << 3) | 2:
        name = reader.latin1();
        break;
      case (2 << 3) | 0:
        permits = reader.uint32();
        break;
      case (3 << 3) | 0:
        limit = reader.uint32();
        break;
      default:
        reader.skip(field);
    }
  }
  reader.leave(end);
  return { name: name as LockName, permits, limit };
}

function readLabel(reader: FieldReader): readonly [string, string] {
  let key = "";
  let text = "";
  const end = reader.enter();
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    switch (field) {
      case (1 << 3) | 2:
        key = reader.text();
        break;
      case (2 << 3) | 2:
        text = reader.text();
        break;
      default:
        reader.skip(field);
    }
  }
  reader.leave(end);
  return [key, text];
}

function readHeld(reader: FieldReader): HeldTicket {
  let name = "";
  let token = 0n;
  const end = reader.enter();
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    switch (field) {
      case (1 << 3) | 2:
        name = reader.latin1();
        break;
      case (2 << 3) | 0:
        token = reader.bigint();
        break;
      default:
        reader.skip(field);
    }
  }
  reader.leave(end);
  return { name: name as LockName, token };
}
