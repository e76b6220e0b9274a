// RFC 9113, section 4.1: the parts of HTTP/2 frames that unary calls need.

export const frameType = {
  data: 0,
  headers: 1,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
} as const;

export const frameFlag = { endStream: 0x1, ack: 0x1, endHeaders: 0x4 } as const;

export const frameHeaderBytes = 9;

/** What a client sends first, before its SETTINGS. */
export const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** One whole frame. */
export function frame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(frameHeaderBytes + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(streamId, 5);
  payload.copy(bytes, frameHeaderBytes);
  return bytes;
}

/** A WINDOW_UPDATE. */
export function windowUpdate(streamId: number, increment: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(increment);
  return frame(frameType.windowUpdate, 0, streamId, payload);
}

/**
 * The header block of a gRPC request (RFC 7541). It uses only the static table and adds nothing to the dynamic one, so
 * the same bytes serve every request of a connection.
 */
export function requestHeaders(path: string, authority: string): Buffer {
  const text = (value: string): Buffer => {
    const bytes = Buffer.from(value);
    return Buffer.concat([Buffer.of(bytes.length), bytes]);
  };
  return Buffer.concat([
    Buffer.of(0x83, 0x86), // :method POST, :scheme http
    Buffer.of(0x04), // :path
    text(path),
    Buffer.of(0x01), // :authority
    text(authority),
    Buffer.of(0x0f, 31 - 15), // content-type
    text("application/grpc"),
    Buffer.of(0x00),
    text("te"),
    text("trailers"),
  ]);
}
