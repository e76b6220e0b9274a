import type { Flood } from "./flood.js";
import { frame, frameType as type, openSession, openSocket, preface, reset, writeUntilEnded } from "./raw-http2.js";

interface FrameFlood {
  /** What comes before; nothing by default. */
  readonly begin?: Buffer;
  /** What comes again and again. */
  readonly one: Buffer;
  /** Whether the client reads what the server says; it does by default. */
  readonly reads?: boolean;
}

const gone = Buffer.concat([openSession(1), reset(1)]);
const priority = frame(type.priority, 0, 1, Buffer.from([0, 0, 0, 0, 9]));
const emptyData = frame(type.data, 0, 1);
const ping = frame(type.ping, 0, 0, Buffer.alloc(8));
const endless = Buffer.concat([Buffer.from([0, 1, 97, 0x7f, 0x81, 0x7d]), Buffer.alloc(16_000, 97)]);

const floods: Readonly<Record<string, FrameFlood>> = {
  PRIORITY: { one: priority },
  "PRIORITY of an open stream": { begin: openSession(1), one: priority },
  "PRIORITY of a stream that is gone": { begin: gone, one: priority },
  PING: { one: ping },
  "PING, and the answers are not read": { one: ping, reads: false },
  SETTINGS: { one: frame(type.settings, 0, 0, Buffer.from([0, 3, 0, 0, 1, 0])) },
  "empty DATA": { begin: openSession(1), one: emptyData },
  "empty DATA of a stream that is gone": { begin: gone, one: emptyData },
  "DATA with nothing but padding": { begin: openSession(1), one: frame(type.data, 8, 1, Buffer.from([0])) },
  WINDOW_UPDATE: { one: frame(type.windowUpdate, 0, 0, Buffer.from([0, 0, 0, 1])) },
  "frames of a type that is not known": { one: frame(0x42, 0, 0) },
  CONTINUATION: { begin: openSession(1, false), one: frame(9, 0, 1, Buffer.from([0x86])) },
  "headers without end": { one: frame(type.headers, 0, 1, endless) },
};

function create({ begin = Buffer.alloc(0), one, reads = true }: FrameFlood): Flood {
  return async (target) => {
    const many = Buffer.concat(Array.from({ length: Math.max(1, Math.floor(65_536 / one.length)) }, () => one));
    const socket = await openSocket(target);
    if (!reads) {
      socket.pause();
    }
    socket.write(Buffer.concat([preface, begin]));
    return { endedMs: await writeUntilEnded(socket, () => many) };
  };
}

/** Frames that cost the client nothing, by name. */
export const frameFloods: Readonly<Record<string, Flood>> = Object.fromEntries(
  Object.entries(floods).map(([name, flood]) => [name, create(flood)]),
);
