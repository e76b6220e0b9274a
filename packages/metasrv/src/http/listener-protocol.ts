import type { Socket } from "node:net";
import type { Clock } from "@metasrv/wire";

/** How the HTTP/2 connection preface starts; nothing in HTTP/1 does. */
const preface = Buffer.from("PRI * HTTP/2.0");

/** The first byte of a TLS handshake; nothing in HTTP begins with it. */
const handshakeByte = 0x16;

/** The HTTP version that a connection speaks. */
export type HttpProtocol = "http1" | "http2";

/**
 * Reads the first bytes of a new connection to tell whether it begins TLS or which HTTP version it speaks, and puts them
 * back. A connection that begins like none of these is taken for HTTP/1, whose server answers garbage with 400.
 *
 * @param options.timeoutMs - when this time is over and the version is not known yet, the connection is destroyed
 */
export function detectProtocol(
  socket: Socket,
  options: { readonly clock: Clock; readonly timeoutMs: number },
  detected: (protocol: HttpProtocol | "tls") => void,
): void {
  let received = Buffer.alloc(0);
  const timer = options.clock.after(options.timeoutMs, () => {
    socket.destroy();
  });
  const onClose = () => {
    timer.cancel();
  };
  const onReadable = () => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) {
      return;
    }
    received = Buffer.concat([received, chunk]);
    const length = Math.min(received.length, preface.length);
    const alike = received.subarray(0, length).equals(preface.subarray(0, length));
    if (alike && length < preface.length) {
      return;
    }
    timer.cancel();
    socket.off("close", onClose);
    socket.off("readable", onReadable);
    socket.unshift(received);
    detected(alike ? "http2" : received[0] === handshakeByte ? "tls" : "http1");
  };
  socket.on("close", onClose);
  socket.on("readable", onReadable);
}
