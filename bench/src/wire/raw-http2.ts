import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { frame, frameFlag, frameHeaderBytes, frameType, preface, windowUpdate } from "./http2-frames.js";

const maxWindow = 2 ** 31 - 1;
const initialWindow = 65_535;

interface Call {
  readonly resolve: (message: Buffer) => void;
  readonly reject: (error: Error) => void;
  data: Buffer | undefined;
}

/**
 * An HTTP/2 connection that can make unary gRPC calls and nothing else, at a fraction of the cost of a full client, so
 * that the server is what is measured. It does not decode response headers: a call counts as successful if a message
 * came, because gRPC servers send none with an error.
 */
export class RawHttp2 {
  readonly #socket: Socket;
  readonly #calls = new Map<number, Call>();
  #nextStreamId = 1;
  #out: Buffer[] = [];
  /** Frames that wait until the server opens its window further, and how large the window is. */
  readonly #blocked: { readonly frames: Buffer; readonly dataBytes: number }[] = [];
  #sendWindow = initialWindow;
  #receivedBytes = 0;
  #unread: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#read(chunk);
    });
    socket.on("error", (error) => {
      this.#fail(error);
    });
    socket.on("close", () => {
      this.#fail(new Error("the connection was closed"));
    });
  }

  /** Connects to host:port. */
  static async connect(address: string): Promise<RawHttp2> {
    const [host = "", port] = address.split(":");
    const socket = connect({ host, port: Number(port), noDelay: true });
    await once(socket, "connect");
    const connection = new RawHttp2(socket);
    connection.#send(preface);
    connection.#send(frame(frameType.settings, 0, 0, Buffer.alloc(0)));
    connection.#send(windowUpdate(0, maxWindow - initialWindow));
    return connection;
  }

  /** Makes a call; resolves with the bytes of the answer's message. */
  call(headers: Buffer, message: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const id = this.#nextStreamId;
      this.#nextStreamId += 2;
      this.#calls.set(id, { resolve, reject, data: undefined });
      const body = Buffer.allocUnsafe(5 + message.length);
      body[0] = 0;
      body.writeUInt32BE(message.length, 1);
      message.copy(body, 5);
      const frames = Buffer.concat([
        frame(frameType.headers, frameFlag.endHeaders, id, headers),
        frame(frameType.data, frameFlag.endStream, id, body),
      ]);
      this.#blocked.push({ frames, dataBytes: body.length });
      this.#unblock();
    });
  }

  #unblock(): void {
    for (;;) {
      const first = this.#blocked[0];
      if (first === undefined || first.dataBytes > this.#sendWindow) {
        return;
      }
      this.#blocked.shift();
      this.#sendWindow -= first.dataBytes;
      this.#send(first.frames);
    }
  }

  /** Frames of one turn of the event loop leave in one write. */
  #send(bytes: Buffer): void {
    if (this.#out.push(bytes) > 1) {
      return;
    }
    setImmediate(() => {
      const out = this.#out;
      this.#out = [];
      this.#socket.write(Buffer.concat(out));
    });
  }

  #read(chunk: Buffer): void {
    const bytes = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
    let at = 0;
    while (bytes.length - at >= frameHeaderBytes) {
      const end = at + frameHeaderBytes + bytes.readUIntBE(at, 3);
      if (end > bytes.length) {
        break;
      }
      const payload = bytes.subarray(at + frameHeaderBytes, end);
      this.#frame(bytes[at + 3] ?? 0, bytes[at + 4] ?? 0, bytes.readUInt32BE(at + 5), payload);
      at = end;
    }
    this.#unread = bytes.subarray(at);
  }

  #frame(type: number, flags: number, streamId: number, payload: Buffer): void {
    switch (type) {
      case frameType.data:
        this.#received(payload.length);
        this.#data(streamId, payload);
        if ((flags & frameFlag.endStream) !== 0) {
          this.#end(streamId);
        }
        break;
      case frameType.headers:
        if ((flags & frameFlag.endStream) !== 0) {
          this.#end(streamId);
        }
        break;
      case frameType.rstStream:
        this.#take(streamId)?.reject(new Error(`the server reset the call (code ${payload.readUInt32BE(0)})`));
        break;
      case frameType.settings:
        if ((flags & frameFlag.ack) === 0) {
          this.#send(frame(type, frameFlag.ack, 0, Buffer.alloc(0)));
        }
        break;
      case frameType.ping:
        if ((flags & frameFlag.ack) === 0) {
          this.#send(frame(type, frameFlag.ack, 0, payload));
        }
        break;
      case frameType.goAway:
        this.#fail(new Error(`the server closes the connection (code ${payload.readUInt32BE(4)})`));
        break;
      case frameType.windowUpdate:
        if (streamId === 0) {
          this.#sendWindow += payload.readUInt32BE(0);
          this.#unblock();
        }
        break;
      default:
    }
  }

  #data(streamId: number, payload: Buffer): void {
    const call = this.#calls.get(streamId);
    if (call === undefined || payload.length === 0) {
      return;
    }
    call.data = call.data === undefined ? payload : Buffer.concat([call.data, payload]);
  }

  #end(streamId: number): void {
    const call = this.#take(streamId);
    if (call === undefined) {
      return;
    }
    if (call.data === undefined || call.data.length < 5) {
      call.reject(new Error("the call was answered with an error"));
    } else {
      call.resolve(call.data.subarray(5));
    }
  }

  #take(streamId: number): Call | undefined {
    const call = this.#calls.get(streamId);
    this.#calls.delete(streamId);
    return call;
  }

  /** Opens the connection's window again from time to time. */
  #received(bytes: number): void {
    this.#receivedBytes += bytes;
    if (this.#receivedBytes > 2 ** 30) {
      this.#send(windowUpdate(0, this.#receivedBytes));
      this.#receivedBytes = 0;
    }
  }

  #fail(error: Error): void {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) {
      call.reject(error);
    }
  }
}
