import type { DescMethodBiDiStreaming } from "@bufbuild/protobuf";
import { fromBinary } from "@bufbuild/protobuf";
import { EmptySchema, type Empty } from "@bufbuild/protobuf/wkt";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import type { Transport } from "@connectrpc/connect";
import { LockService, SessionTermsSchema, type SessionEvent, type SessionTerms } from "@metasrv/proto/metasrv/v1";
import { readEvent } from "./session-codec.js";

/**
 * `Session`, with messages that have no fields: all that a message carries is unknown to Connect then, which hands it
 * through as it is. So both directions are free to use {@link ./session-codec.ts}, in either protocol.
 */
const session: DescMethodBiDiStreaming<typeof EmptySchema, typeof EmptySchema> = {
  ...LockService.method.session,
  input: EmptySchema,
  output: EmptySchema,
};

const fields = { commands: 1, events: 1, terms: 2, draining: 3 } as const;

/** A `SessionResponse`. */
export interface SessionNews {
  readonly events: readonly SessionEvent[];
  readonly terms: SessionTerms | undefined;
  readonly draining: boolean;
}

/**
 * Opens a session.
 *
 * @param requests - messages as `writeCommand` writes them
 */
export async function* openSession(
  transport: Transport,
  requests: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<SessionNews> {
  const { message } = await transport.stream(session, signal, undefined, undefined, wrapped(requests));
  for await (const response of message) yield read(response);
}

async function* wrapped(requests: AsyncIterable<Uint8Array>): AsyncGenerator<Empty> {
  for await (const bytes of requests) {
    const message: Empty = { $typeName: "google.protobuf.Empty" };
    // What it begins with, the first command's tag, is written by protobuf-es, and the rest as it is.
    if (bytes.length > 0) {
      message.$unknown = [{ no: fields.commands, wireType: WireType.LengthDelimited, data: bytes.subarray(1) }];
    }
    yield message;
  }
}

function read({ $unknown = [] }: Empty): SessionNews {
  const events: SessionEvent[] = [];
  let terms: SessionTerms | undefined;
  let draining = false;
  for (const { no, data } of $unknown) {
    const reader = new BinaryReader(data);
    // Of a message in a message, the length comes first.
    if (no === fields.events) events.push(readEvent(reader.bytes()));
    else if (no === fields.terms) terms = fromBinary(SessionTermsSchema, reader.bytes());
    else if (no === fields.draining) draining = reader.bool();
  }
  return { events, terms, draining };
}
