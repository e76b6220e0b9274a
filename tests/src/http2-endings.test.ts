import { once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  createServer,
  type Http2Server,
  type Http2Session,
  type Http2Stream,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { afterAll, afterEach, describe, expect, test } from "@jest/globals";
import { leakCheck } from "@metasrv/testing";
import { closeOutsideOfReading, endOutsideOfReading } from "@metasrv/wire";

/** What is called from a handler, which runs while Node reads. */
type Act = (stream: Http2Stream, session: Http2Session) => void;

/** Whether the stream or its session had ended when it returned, and with which code the stream did later. */
interface Ended {
  readonly atOnce: boolean;
  readonly rstCode: number | undefined;
}

/** Calls it, and waits for both to end. */
async function actAndWait(act: Act, stream: Http2Stream, session: Http2Session): Promise<Ended> {
  const over = Promise.all([stream, session].map((each) => new Promise((resolve) => each.once("close", resolve))));
  act(stream, session);
  const atOnce = stream.closed || stream.destroyed || session.closed || session.destroyed;
  await over;
  return { atOnce, rstCode: stream.rstCode };
}

let server: Http2Server;
/** Of the server. */
let socket: Socket;
let session: ClientHttp2Session;
let stream: ClientHttp2Stream;

afterEach(async () => {
  session.destroy();
  const closes = once(server, "close");
  server.close();
  await closes;
});
afterAll(leakCheck());

const answer = (accepted: ServerHttp2Stream): void => {
  accepted.respond({ ":status": 200 });
};

/** A server, and a client with one call, which is left open. */
async function open(opened: (stream: ServerHttp2Stream) => void): Promise<void> {
  server = createServer();
  server.on("connection", (accepted: Socket) => (socket = accepted));
  server.on("session", endOutsideOfReading);
  server.on("sessionError", () => undefined);
  server.on("stream", (accepted) => {
    closeOutsideOfReading(accepted);
    accepted.on("error", () => undefined);
    opened(accepted);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  session.on("error", () => undefined);
  endOutsideOfReading(session);
  stream = session.request({}, { endStream: false });
  stream.on("error", () => undefined);
  closeOutsideOfReading(stream);
}

const rstCode = constants.NGHTTP2_ENHANCE_YOUR_CALM;

const acts: readonly (readonly [string, Act, Partial<Ended>])[] = [
  [
    "a stream that is closed",
    (closed, carrier) => {
      closed.close(rstCode);
      closed.once("close", () => {
        carrier.close();
      });
    },
    { rstCode },
  ],
  [
    "a session that is destroyed",
    (_, destroyed) => {
      destroyed.destroy();
    },
    {},
  ],
  [
    "a session that is closed, and then its stream,",
    (last, closed) => {
      closed.close();
      last.close();
    },
    {},
  ],
];

describe("ends when Node does not read any more", () => {
  test.each(acts)("%s by a server", async (_, act, expected) => {
    const ended = new Promise<Ended>((resolve, reject) => {
      open((accepted) => {
        const { session: carrier } = accepted;
        if (carrier !== undefined) {
          actAndWait(act, accepted, carrier).then(resolve, reject);
        }
      }).catch(reject);
    });
    expect(await ended).toMatchObject({ atOnce: false, ...expected });
  });

  test.each(acts)("%s by a client", async (_, act, expected) => {
    await open(answer);
    const ended = new Promise<Ended>((resolve, reject) => {
      stream.once("response", () => {
        actAndWait(act, stream, session).then(resolve, reject);
      });
    });
    expect(await ended).toMatchObject({ atOnce: false, ...expected });
  });
});

test("who closes a stream that ends by itself before that is told, too", async () => {
  await open(answer);
  await once(stream, "response");
  const told = new Promise<void>((resolve) => {
    stream.close(constants.NGHTTP2_CANCEL, resolve);
  });
  stream.destroy();
  await told;
});

test("a lost connection ends a stream with the code that Node has for that", async () => {
  await open(answer);
  await once(stream, "response");
  const closes = once(stream, "close");
  socket.destroy();
  await closes;
  expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL);
});
