import { constants } from "node:http2";
import type { Socket } from "node:net";
import type { Clock } from "@metasrv/wire";
import type { HttpProtocol } from "./listener-protocol.js";

/** How long a client may take to read why it was refused, in milliseconds. */
const readMs = 2_000;

/**
 * Ends a connection that is not served with a sentence that says why: an answer with the status 400 or, in HTTP/2, the
 * debug data of a GOAWAY.
 */
export function refuseConnection(socket: Socket, protocol: HttpProtocol, sentence: string, clock: Clock): void {
  // What the client still sends is read: a socket that is closed with something unread resets the connection, and the
  // client would not see the answer.
  socket.resume();
  socket.end(protocol === "http2" ? goAway(sentence) : badRequest(sentence));
  const timer = clock.after(readMs, () => {
    socket.destroy();
  });
  socket.once("close", () => {
    timer.cancel();
  });
}

function badRequest(sentence: string): string {
  return [
    "HTTP/1.1 400 Bad Request",
    "connection: close",
    "content-type: text/plain; charset=utf-8",
    `content-length: ${Buffer.byteLength(sentence) + 1}`,
    "",
    `${sentence}\n`,
  ].join("\r\n");
}

/** The settings with which each side begins, and a GOAWAY. */
function goAway(sentence: string): Buffer {
  const text = Buffer.from(sentence);
  const frames = Buffer.alloc(9 + 9 + 8);
  frames.writeUInt8(4, 3);
  frames.writeUIntBE(8 + text.length, 9, 3);
  frames.writeUInt8(7, 12);
  frames.writeUInt32BE(constants.NGHTTP2_INADEQUATE_SECURITY, 22);
  return Buffer.concat([frames, text]);
}
