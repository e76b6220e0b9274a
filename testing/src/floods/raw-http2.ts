import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { FloodTarget } from "./flood.js";

export const frameType = { data: 0, headers: 1, priority: 2, reset: 3, settings: 4, ping: 6, windowUpdate: 8 } as const;

/** A frame of HTTP/2. */
export function frame(type: number, flags: number, stream: number, payload = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header.writeUInt8(type, 3);
  header.writeUInt8(flags, 4);
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

/** What every connection begins with. */
export const preface = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  frame(frameType.settings, 0, 0),
]);

// In entries of the static table and literals: POST /metasrv.v1.LockService/Session, http, to "a".
const headers = Buffer.concat([
  Buffer.from([0x83, 0x86, 0x01, 1, 97, 0x04, 31]),
  Buffer.from("/metasrv.v1.LockService/Session"),
  Buffer.from([0x0f, 0x10, 25]),
  Buffer.from("application/connect+proto"),
]);

/** Opens a session. Without `END_HEADERS`, it waits for CONTINUATION. */
export function openSession(stream: number, endHeaders = true): Buffer {
  return frame(frameType.headers, endHeaders ? 4 : 0, stream, headers);
}

/** Cancels a stream. */
export function reset(stream: number): Buffer {
  return frame(frameType.reset, 0, stream, Buffer.from([0, 0, 0, 8]));
}

/** A connection whose errors are seen by its end. */
export async function openSocket({ host, port }: FloodTarget): Promise<Socket> {
  const socket = connect(port, host);
  socket.on("error", () => undefined);
  socket.resume();
  await Promise.race([once(socket, "connect"), once(socket, "close")]);
  return socket;
}

/**
 * Writes what comes next, as fast as it is taken, until the connection is ended.
 *
 * @returns after how long that was, in milliseconds
 */
export async function writeUntilEnded(socket: Socket, next: () => Buffer): Promise<number> {
  const startedMs = performance.now();
  const ended = new Promise<void>((resolve) => socket.once("close", resolve));
  const write = (): void => {
    socket.write(next(), (error) => {
      if (error == null) {
        write();
      }
    });
  };
  write();
  await ended;
  return Math.round(performance.now() - startedMs);
}
