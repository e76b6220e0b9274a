import { FieldReader, type FieldWriter } from "@metasrv/wire";
import type { TicketContent } from "../model/command.js";
import { isExclusive } from "../model/share.js";

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
    const { ttlMs, owner, resumable, permits, limit } = content;
    const text = `${ttlMs} ${resumable} ${permits} ${limit} ${owner}`;
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
      default:
        reader.skip(field);
    }
  }
  return { ttlMs, owner, resumable, permits, limit };
}
