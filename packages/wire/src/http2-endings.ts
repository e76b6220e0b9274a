import type { Http2Session, Http2Stream } from "node:http2";

// Handlers, and the promises that they resolve, run while Node reads frames. When a stream is closed or reset then, Node sends
// what is due in the middle of that; nghttp2 frees the stream, and goes on reading for it in freed memory. So whoever is at the
// other end can make this process abort, with "corrupted size vs. prev_size" or the like:
// https://github.com/nodejs/node/issues/64113, in Node 20 and 22.23. The same goes for a session that ends with its streams.
// An immediate never runs while Node reads.

/** Makes a stream close as soon as Node does not read, whoever asks for it and when. */
export function closeOutsideOfReading(stream: Http2Stream): void {
  const close = stream.close.bind(stream);
  stream.close = (code, callback) => {
    if (callback !== undefined) {
      // Now: the stream may have ended by itself before it is closed.
      stream.once("close", callback);
    }
    // Node closes the streams of a lost connection with a code that tells so, and ends them at once.
    if (stream.session?.destroyed !== false || stream.session.socket.destroyed) {
      close(code);
    } else {
      setImmediate(close, code);
    }
  };
}

/**
 * Makes a session close and end as soon as Node does not read, whoever asks for it and when. Node itself does, when the other
 * side sends GOAWAY or breaks the protocol.
 */
export function endOutsideOfReading(session: Http2Session): void {
  const close = session.close.bind(session);
  const destroy = session.destroy.bind(session);
  session.close = (callback) => {
    if (callback !== undefined) {
      session.once("close", callback);
    }
    setImmediate(close);
  };
  session.destroy = (error, code) => {
    setImmediate(destroy, error, code);
  };
}
