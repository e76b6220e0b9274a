import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";

// Handlers run while Node reads frames. When a stream is closed or reset then, Node sends what is due in the middle of that;
// nghttp2 frees the stream, and goes on reading for it in freed memory. So any client could make this process abort, with
// "corrupted size vs. prev_size" or the like: https://github.com/nodejs/node/issues/64113, in Node 20 and 22.23. The
// same goes for a session that ends with its streams. An immediate never runs while Node reads.

/** Closes a stream as `stream.close` does, which no handler may call: as soon as Node does not read. */
export function closeStream(stream: ServerHttp2Stream, code: number): void {
  setImmediate(() => {
    stream.close(code);
  });
}

/**
 * Makes a session close and end as soon as Node does not read, whoever asks for it. Node itself does, when a client sends
 * GOAWAY or breaks the protocol.
 */
export function endOutsideOfReading(session: ServerHttp2Session): void {
  const close = session.close.bind(session);
  const destroy = session.destroy.bind(session);
  session.close = (callback) => {
    setImmediate(close, callback);
  };
  session.destroy = (error, code) => {
    setImmediate(destroy, error, code);
  };
}
